"""Gated cross-attention held against transformers' Idefics, zero-init attention against peft's adaption prompts.

References are tiny and random everywhere, gates too. Weights are carried over by name in both directions.
"""

from __future__ import annotations

import copy
from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor, nn

from parity.check import Check
from parity.compare import compare
from parity.tiny.systems import LLAMA, NO_ENDS
from triptych.formats.idefics import BLOCK as IDEFICS_BLOCK
from triptych.fusion.config import CrossAttendConfig, PromptConfig
from triptych.fusion.cross_attend import CrossAttend
from triptych.fusion.memory import Spot
from triptych.fusion.prompt import Prompt
from triptych.kernels.fast import accelerate
from triptych.language.backbone import LanguageModel
from triptych.weights.names import NameMap

WIDTH, LAYERS, HEADS, WORDS, PICTURE_TOKENS = 32, 4, 4, 60, 5

IDEFICS = NameMap(
    {
        **{f"model.gated_cross_attn_layers.{{}}.{their}": f"blocks.{{}}.{our}" for their, our in IDEFICS_BLOCK.items()},
        "model.layers": "language.model.layers",
        "model.norm": "language.model.norm",
        "model.embed_tokens": "language.model.embed_tokens",
        "lm_head": "language.lm_head",
    },
    ignored=("model.vision_model",),
)
"""`IdeficsForVisionText2Text` (without resampler, no additional words) to a `CrossAttend` and, behind `language.`, a LLaMA."""


def gated_cross_attention() -> Iterator[Check]:
    """Logits of a whole Idefics, pictures between words, each text seeing the last picture or all before it."""
    for sees in ("last", "all"):
        theirs = _idefics()
        language, fusion = _llama_with_blocks(sees)
        ours = nn.ModuleDict({"blocks": fusion.blocks, "language": language.model})
        pictures, ids = torch.randn(2, 3, PICTURE_TOKENS, WIDTH), torch.randint(0, WORDS, (2, 12))
        starts = [[0, 4, 9], [2, 3, 7]]
        for what, source, target in (("", theirs, ours), (", carried back", ours, theirs)):
            _randomise(source)
            state = {name: tensor for name, tensor in source.state_dict().items() if "inv_freq" not in name}
            target.load_state_dict(IDEFICS.ours(state) if source is theirs else IDEFICS.theirs(state), strict=False)
            with torch.no_grad():
                expected = theirs(
                    input_ids=ids,
                    image_encoder_embeddings=pictures,
                    image_attention_mask=_idefics_mask(starts, ids.shape[1], sees),
                    use_cache=False,
                ).logits
                mine = _read(language, fusion, ids, pictures, starts)
            yield compare(
                f"logits with gated cross-attention, {sees} picture{'s' * (sees == 'all')} seen{what}",
                "transformers.IdeficsForVisionText2Text",
                mine,
                expected,
            )


def adaption_prompt() -> Iterator[Check]:
    """Logits of a LLaMA with prompts in its last layers. peft has one gate per layer and no tanh: its gate is tanh of ours."""
    from peft import AdaptionPromptConfig, get_peft_model
    from transformers import LlamaForCausalLM

    torch.manual_seed(0)
    config = _llama_config(key_heads=2)
    base = LlamaForCausalLM(config).eval()
    _randomise(base)
    ids, layers, length = torch.randint(0, WORDS, (2, 11)), 3, 5
    plain = copy.deepcopy(base)
    settings = AdaptionPromptConfig(adapter_layers=layers, adapter_len=length, task_type="CAUSAL_LM")
    theirs = get_peft_model(copy.deepcopy(base), settings).eval()
    wrapped = [module for module in theirs.modules() if hasattr(module, "adaption_prompt")]
    for gate in ("layer", "head"):
        middle = copy.deepcopy(base)
        accelerate(middle)
        language = LanguageModel(middle, None, None)  # type: ignore[arg-type]
        fusion = Prompt(PromptConfig(length=length, layers=layers, gate=gate), language, 1.0)  # type: ignore[arg-type]
        with torch.no_grad():
            yield compare(
                "logits with silent prompts",
                "transformers.LlamaForCausalLM",
                _logits(language, fusion, ids),
                plain(ids, use_cache=False).logits,
            )
            for number, module in enumerate(wrapped):
                module.adaption_prompt.normal_()
                module.adaption_gate.normal_()
                fusion.prompts.weight[number] = module.adaption_prompt[0]
                fusion.gates[number] = torch.atanh(module.adaption_gate.clamp_(-0.9, 0.9))
            yield _compared(language, fusion, theirs, ids, f"logits with prompts, a gate per {gate}")
            fusion.prompts.weight.normal_()
            fusion.gates.copy_(torch.randn(layers, 1).expand_as(fusion.gates))
            for number, module in enumerate(wrapped):
                module.adaption_prompt[0] = fusion.prompts.weight[number]
                module.adaption_gate.copy_(torch.tanh(fusion.gates[number, :1]))
            yield _compared(language, fusion, theirs, ids, f"logits with prompts, a gate per {gate}, carried back")


def _compared(language: LanguageModel, fusion: Prompt, theirs: Any, ids: Tensor, what: str) -> Check:
    expected = theirs(input_ids=ids, use_cache=False).logits
    return compare(what, "peft.AdaptionPromptConfig", _logits(language, fusion, ids), expected)


def _logits(language: LanguageModel, fusion: Prompt, ids: Tensor) -> Tensor:
    embeddings, positions = language.embed(ids), torch.arange(ids.shape[1]).expand(ids.shape)
    with fusion.reading(None, positions, None):
        return language.logits(language(embeddings, positions, torch.zeros_like(ids)))


def _idefics() -> Any:
    from transformers import IdeficsConfig, IdeficsForVisionText2Text

    torch.manual_seed(0)
    vision = {"embed_dim": WIDTH, "image_size": 8, "patch_size": 4, "num_hidden_layers": 1, "num_attention_heads": 2}
    config = IdeficsConfig(
        vocab_size=WORDS, additional_vocab_size=0, hidden_size=WIDTH, intermediate_size=4 * WIDTH,
        num_hidden_layers=LAYERS, num_attention_heads=HEADS, cross_layer_interval=2, qk_layer_norms=False,
        use_resampler=False, tie_word_embeddings=False, vision_config=vision | {"intermediate_size": WIDTH}, **NO_ENDS,
    )  # fmt: skip
    return IdeficsForVisionText2Text(config).eval()


def _llama_config(key_heads: int = HEADS) -> Any:
    from transformers import LlamaConfig

    sizes = {"vocab_size": WORDS, "intermediate_size": 4 * WIDTH, "num_hidden_layers": LAYERS}
    return LlamaConfig(**{**LLAMA, **sizes, "num_key_value_heads": key_heads})


def _llama_with_blocks(sees: Any) -> tuple[LanguageModel, CrossAttend]:
    from transformers import LlamaForCausalLM

    model = LlamaForCausalLM(_llama_config()).eval()
    accelerate(model)
    language = LanguageModel(model, None, None)  # type: ignore[arg-type]
    options = {"norm": "rms", "feedforward": "swiglu", "normalise": False, "sees": sees}
    config = CrossAttendConfig(every=2, heads=HEADS, head_dim=WIDTH // HEADS, **options)
    return language, CrossAttend(config, language, 1.0)


def _read(
    language: LanguageModel, fusion: CrossAttend, ids: Tensor, pictures: Tensor, starts: list[list[int]]
) -> Tensor:
    """Our logits; the words stand where our markers of media would."""
    features = list(pictures.flatten(0, 1))
    spots = [Spot(row, 0, start, 3 * row + i) for row, own in enumerate(starts) for i, start in enumerate(own)]
    embeddings, positions = language.embed(ids), torch.arange(ids.shape[1]).expand(ids.shape)
    with fusion.reading(fusion.remember(features, spots, len(ids), embeddings), positions, None):
        return language.logits(language(embeddings, positions, torch.zeros_like(ids)))


def _idefics_mask(starts: list[list[int]], length: int, sees: str) -> Tensor:
    """`[rows, length, pictures]`, written out token by token."""
    mask = torch.zeros(len(starts), length, len(starts[0]), dtype=torch.long)
    for row, own in enumerate(starts):
        for place in range(length):
            before = [i for i, start in enumerate(own) if start <= place]
            for i in before[-1:] if sees == "last" else before:
                mask[row, place, i] = 1
    return mask


def _randomise(model: nn.Module) -> None:
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            one_dimension = parameter.dim() == 1 and "alpha" not in name and "gate" not in name.split(".")[-1]
            parameter.copy_(torch.randn_like(parameter) * 0.2 + (1.0 if one_dimension else 0.0))
