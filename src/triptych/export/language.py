"""The language model of a run as a model of transformers, LoRA merged; and its tokenizer."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from triptych.export.finished import Finished
from triptych.families.composed.config import ModelConfig
from triptych.fusion.config import PromptConfig
from triptych.language.assembled import causal
from triptych.language.backbone import LanguageModel
from triptych.language.hub_templates import for_transformers
from triptych.language.template import ChatTemplate
from triptych.model.composed import MultimodalModel


def merged_state(language: LanguageModel, dtype: torch.dtype) -> dict[str, Tensor]:
    """All weights of the language model by the names of its own class.

    Args:
        language: The model.
        dtype: Of what is written. LoRA's update is added in float32 and rounded to it once: rounded to the precision of the
            weights, which may be less, small updates would be lost.
    """
    state = {
        name.replace(".base_layer.", "."): tensor.detach()
        for name, tensor in language.model.state_dict().items()
        if not _is_lora(name)
    }
    for name, module in lora_layers(language):
        weight = state[f"{name}.weight"]
        a, b = (layers["default"].weight.detach().float() for layers in (module.lora_A, module.lora_B))
        update = module.scaling["default"] * (b @ a)
        update = update.t() if module.fan_in_fan_out else update  # GPT-2's layers are kept transposed
        state[f"{name}.weight"] = (weight.float() + update).to(dtype)
    return state


def lora_layers(language: LanguageModel) -> Iterator[tuple[str, Any]]:
    """The layers with LoRA, by name."""
    for name, module in language.model.named_modules():
        if hasattr(module, "lora_A") and hasattr(module, "fan_in_fan_out"):
            yield name, module


def _is_lora(name: str) -> bool:
    return any(step.startswith("lora_") for step in name.split("."))


def plain_config(language: LanguageModel) -> Any:
    """The transformers configuration as it is without Triptych."""
    values = language.config.to_dict()
    values.pop("quantization_config", None)
    return type(language.config)(**{**values, "use_cache": True})


def plain(language: LanguageModel, dtype: torch.dtype) -> Any:
    """The language model as transformers builds it, LoRA merged, in a precision."""
    return causal(plain_config(language), merged_state(language, dtype), dtype)


def misfits_of_language(run: Finished) -> Iterator[str]:
    """What of the language model transformers' own classes cannot hold."""
    model = run.recipe.model
    if not isinstance(model, ModelConfig) or run.language is None:
        yield f"model.kind: {model.kind!r} has no language model"
        return
    if isinstance(model.fusion, PromptConfig) and model.fusion.tuning is not None:
        yield "model.fusion.tuning: biases and scales of linear layers have no place in the language model's own class"
    if isinstance(run.model, MultimodalModel) and run.model.regions is not None:
        yield "model.regions: the decoders of boxes and masks have no place in transformers' classes"
    elif run.language.regions is not None:
        yield (
            f"model.regions: {len(run.language.regions)} tokens for regions were learnt beside the vocabulary, and the language "
            "model's own class has no rows for them; `format: shikra` and `format: json` need none"
        )


def untied_head(language: LanguageModel) -> Iterator[str]:
    """What between hidden states and logits a class with a bare head cannot hold."""
    head = language.model.get_output_embeddings()
    if getattr(head, "bias", None) is not None:
        yield f"model.language: the head of {type(language.model).__name__} has a bias"
    for name in ("logit_scale", "logits_scaling", "final_logit_softcapping"):
        if getattr(language.config, name, None) is not None:
            yield f"model.language: its logits are changed by `{name}`"


def tokenizer_for(run: Finished, image_token: str | None = None) -> Any:
    """A copy of the tokenizer that writes conversations as the run does; see `exported_tokenizer`.

    Args:
        run: With a language model.
        image_token: Is added to it as a special token where it has none, and stands where pictures do.
    """
    assert run.language is not None
    return exported_tokenizer(run.language.template, image_token)


def exported_tokenizer(template: ChatTemplate, image_token: str | None = None) -> Any:
    """A copy of a template's tokenizer that writes conversations as it does, whether they come as text or as parts.

    Args:
        template: With its tokenizer.
        image_token: Is added to it as a special token where it has none, and stands where pictures do. Processors add
            special tokens to what they read, so such a tokenizer adds none: all of them come from the template.
    """
    tokenizer = copy.deepcopy(template.tokenizer)
    if image_token is not None:
        add_token(tokenizer, image_token)
        adds_nothing(tokenizer)
    tokenizer.chat_template = for_transformers(
        template.template, template.system_prompt, image_token or "<image>", template.drops_spaces
    )
    return tokenizer


IMAGE_TOKENS = ("<image>", "<|image|>", "<|picture|>")
"""Names for the token that stands where a picture does."""


def image_token_for(template: ChatTemplate) -> str:
    """The first of `IMAGE_TOKENS` that the template does not write itself, as Kosmos-2's writes `<image>`."""
    return next(name for name in IMAGE_TOKENS if not template.writes(name) or name == IMAGE_TOKENS[-1])


def adds_nothing(tokenizer: Any) -> None:
    """Have a tokenizer put no special tokens around what it encodes."""
    from tokenizers.processors import TemplateProcessing

    if tokenizer("a")["input_ids"] == tokenizer("a", add_special_tokens=False)["input_ids"]:
        return
    for name in ("add_bos_token", "add_eos_token"):
        if hasattr(tokenizer, name):
            setattr(tokenizer, name, False)
    tokenizer.backend_tokenizer.post_processor = TemplateProcessing(single="$A", pair="$A $B", special_tokens=[])


def add_token(tokenizer: Any, token: str) -> int:
    """The id of a special token, which is added where there is none."""
    if token not in tokenizer.get_vocab():
        tokenizer.add_special_tokens({"additional_special_tokens": [token]}, replace_extra_special_tokens=False)
    return int(tokenizer.convert_tokens_to_ids(token))


def save_generation(folder: Path, tokenizer: Any, ends: tuple[int, ...], never: tuple[int, ...] = ()) -> None:
    """`generation_config.json`: what ends an answer, and which tokens are never said.

    Args:
        folder: Where it is written.
        tokenizer: Whose end of text ends an answer, too.
        ends: Ids that end a turn.
        never: Ids that stand for media.
    """
    from transformers import GenerationConfig

    found = sorted({*ends, *([] if tokenizer.eos_token_id is None else [int(tokenizer.eos_token_id)])})
    pad = tokenizer.pad_token_id if tokenizer.pad_token_id is not None else found[0]
    GenerationConfig(
        eos_token_id=found,
        pad_token_id=int(pad),
        bos_token_id=tokenizer.bos_token_id,
        suppress_tokens=list(never) or None,
        do_sample=False,
    ).save_pretrained(folder)
