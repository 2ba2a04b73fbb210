"""Kosmos-2 held against transformers: vision tower, connector and sub-LN decoder, pictures between words, two in a row.

Kosmos-1's own code was never released; Kosmos-2 (Peng et al. 2023, https://arxiv.org/abs/2306.14824) is its successor of the
same architecture, but for sinusoidal positions instead of xPos in the released weights.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from triptych.conversation import Image
from triptych.verify.check import Check, largest_difference
from triptych.weights.names import NameMap

if TYPE_CHECKING:
    from triptych.language.template import ChatTemplate
    from triptych.model.composed import MultimodalModel

REFERENCE = "transformers.Kosmos2ForConditionalGeneration"

VISION = {
    "vision_model.model.embeddings": "encoders.image.model.embeddings",
    "vision_model.model.pre_layrnorm": "encoders.image.model.pre_layrnorm",
    "vision_model.model.encoder.layers.{}": "encoders.image.model.encoder.layers.{}",
    "vision_model.model.post_layernorm": "encoders.image.model.post_layernorm",
}
CONNECTOR = {
    "image_to_text_projection.dense": "adapters.image.projection",
    "image_to_text_projection.latent_query": "adapters.image.latents",
    "image_to_text_projection.x_attn.q_proj": "adapters.image.query",
    "image_to_text_projection.x_attn.k_proj": "adapters.image.key",
    "image_to_text_projection.x_attn.v_proj": "adapters.image.value",
    "image_to_text_projection.x_attn.out_proj": "adapters.image.output",
}
DECODER = {
    "text_model.model": "language.model.model",
    "text_model.lm_head": "language.model.lm_head",
}

KOSMOS2 = NameMap(VISION | CONNECTOR | DECODER)
"""Kosmos-2's parameters to those of a composed model: a CLIP tower, the adapter `connector` and the decoder."""

WORDS, LATENTS, IMAGE = 96, 5, 4
"""The tiny model's vocabulary, its positions per picture, and the id that stands at them in the reference."""


def kosmos2_logits() -> Iterator[Check]:
    """Logits of two documents with pictures, weights carried over in both directions."""
    torch.manual_seed(0)
    reference, other = tiny_kosmos2(), tiny_kosmos2()
    ours = composed(reference)
    documents = [_document(torch.randint(5, WORDS, (length,)).tolist(), place) for length, place in ((9, 2), (14, 6))]
    pixels = [torch.randint(0, 256, (3, 32, 32), dtype=torch.uint8) for _ in documents]

    load(ours, KOSMOS2.ours(dict(reference.state_dict())))
    theirs = [_their_logits(reference, ours, ids, picture) for ids, picture in zip(documents, pixels, strict=True)]
    apart = [_our_logits(ours, [ids], [picture])[0] for ids, picture in zip(documents, pixels, strict=True)]
    packed = _our_logits(ours, documents, pixels)
    yield Check("Kosmos-2 logits, weights of the reference", REFERENCE, _largest(apart, theirs))
    yield Check("Kosmos-2 logits, both documents packed in one row", REFERENCE, _largest(packed, theirs))

    randomise(ours)
    other.load_state_dict(KOSMOS2.theirs(parameters(ours)), strict=True)
    theirs = [_their_logits(other, ours, ids, picture) for ids, picture in zip(documents, pixels, strict=True)]
    mine = [_our_logits(ours, [ids], [picture])[0] for ids, picture in zip(documents, pixels, strict=True)]
    yield Check("Kosmos-2 logits, weights of ours", REFERENCE, _largest(mine, theirs))


def tiny_kosmos2(vocabulary: int = WORDS) -> Any:
    """A Kosmos-2 of transformers with random weights and as few of them as will do.

    Args:
        vocabulary: How many tokens it knows.
    """
    from transformers import Kosmos2Config, Kosmos2ForConditionalGeneration

    text = {"vocab_size": vocabulary, "embed_dim": 32, "layers": 2, "ffn_dim": 48, "attention_heads": 4}
    vision = {"hidden_size": 24, "intermediate_size": 40, "num_hidden_layers": 2, "num_attention_heads": 2}
    config = Kosmos2Config(
        text_config=text | {"max_position_embeddings": 64},
        vision_config=vision | {"image_size": 32, "patch_size": 8},
        latent_query_num=LATENTS,
    )
    model = seeing_all(Kosmos2ForConditionalGeneration(config).eval())
    randomise(model)
    return model


def seeing_all(reference: Any) -> Any:
    """The same model, whose connector attends to all of a picture, as published.

    Older versions of transformers (5.17) mask what comes later: the connector's attention has the decoder's `is_causal`.
    """
    reference.image_to_text_projection.x_attn.is_causal = False
    return reference


def composed(reference: Any, tokenizer: Any = None, template: ChatTemplate | None = None) -> MultimodalModel:
    """The composed model of a recipe for Kosmos-2 at the reference's size, random weights.

    Args:
        reference: Whose size it has.
        tokenizer: Its words; by default there are none, and checks bring their own ids.
        template: How it writes conversations.
    """
    from triptych.adapters.build import build as build_adapter
    from triptych.adapters.config import ConnectorConfig
    from triptych.encoders.build import build as build_encoder
    from triptych.encoders.config import HuggingFaceConfig
    from triptych.kernels.fast import accelerate
    from triptych.language import kosmos
    from triptych.language.backbone import LanguageModel
    from triptych.language.template import ChatTemplate
    from triptych.model.composed import MultimodalModel
    from triptych.sequence.config import SequenceConfig

    text, vision = reference.config.text_config, reference.config.vision_config
    names = ("hidden_size", "intermediate_size", "num_hidden_layers", "num_attention_heads", "image_size", "patch_size")
    tower = {name: getattr(vision, name) for name in names} | {"hidden_act": vision.hidden_act}
    encoder = build_encoder(
        HuggingFaceConfig(
            architecture={"model_type": "clip_vision_model"} | tower,
            layer="output",
            unit=True,
            drop_cls=False,
            fit="squash",
            precision="float32",
        )
    )
    connector = ConnectorConfig(latents=LATENTS, heads=text.attention_heads, normalise=False, output_scale=None)
    adapter = build_adapter(connector, encoder.dim, encoder.grid, text.embed_dim, 1.0)
    decoder = kosmos.build(text, torch.float32)
    decoder.config.use_cache = False
    accelerate(decoder)
    tokenizer = tokenizer or _tokenizer()
    language = LanguageModel(decoder, tokenizer, template or ChatTemplate(tokenizer))
    return MultimodalModel(language, {"image": encoder}, {"image": adapter}, SequenceConfig(max_tokens=64)).eval()


def _tokenizer() -> Any:
    """A tokenizer with an end of text; the checks bring their own ids."""
    from tokenizers import Tokenizer, models
    from transformers import PreTrainedTokenizerFast

    words = {"<s>": 0, "<pad>": 1, "</s>": 2, "<unk>": 3}
    made = Tokenizer(models.WordLevel(words, unk_token="<unk>"))
    return PreTrainedTokenizerFast(tokenizer_object=made, bos_token="<s>", eos_token="</s>", pad_token="<pad>")


def _document(words: list[int], place: int) -> list[int]:
    """Ids with a picture's positions after so many words."""
    return [*words[:place], *[IMAGE] * LATENTS, *words[place:]]


def _their_logits(reference: Any, ours: MultimodalModel, ids: list[int], pixels: Tensor) -> Tensor:
    encoder = ours.encoder()
    prepared = encoder.normalise(pixels[None], torch.float32)  # type: ignore[operator]
    row = torch.tensor([ids])
    with torch.inference_mode():
        logits: Tensor = reference(
            pixel_values=prepared, input_ids=row.clone(), image_embeds_position_mask=row == IMAGE, use_cache=False
        ).logits[0]
    return logits


def _our_logits(ours: MultimodalModel, documents: list[list[int]], pixels: list[Tensor]) -> list[Tensor]:
    """Logits `[L, V]` of each document, all of them packed into one row."""
    from triptych.sequence.pack import pack
    from triptych.sequence.plan import Layout, Span

    pictures = [Image(b"", key=f"picture {i}") for i in range(len(documents))]
    layouts = [
        Layout(tuple(ids), tuple(ids), (Span(ids.index(IMAGE), LATENTS, picture),), id=str(i))
        for i, (ids, picture) in enumerate(zip(documents, pictures, strict=True))
    ]
    batch = pack(layouts, row_tokens=sum(map(len, layouts)) + 3, pad=1)
    batch = replace(batch, pixels=tuple(pixels[pictures.index(medium)] for medium in batch.media))
    with torch.inference_mode():
        logits = ours.language.logits(ours(batch))
    found = {}
    for number, document in enumerate(batch.conversations):
        found[document.id] = logits[batch.documents == number]
    return [found[str(i)] for i in range(len(documents))]


def _largest(ours: list[Tensor], theirs: list[Tensor]) -> float:
    return max(largest_difference(mine, other) for mine, other in zip(ours, theirs, strict=True))


def randomise(model: torch.nn.Module) -> None:
    """Every parameter anew and none trivial: no zero biases, no norms of one."""
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.dim() > 1:
                parameter.normal_(std=parameter.shape[-1] ** -0.5)
            else:
                parameter.normal_(mean=0.5, std=0.2)


def parameters(model: MultimodalModel) -> dict[str, Tensor]:
    """All parameters, the tied head under both of its names."""
    return {name: parameter.detach() for name, parameter in model.named_parameters(remove_duplicate=False)}


def load(model: MultimodalModel, state: dict[str, Tensor]) -> None:
    """Put a state in place that has every parameter and nothing else."""
    if lacking := parameters(model).keys() ^ state.keys():
        raise ValueError(f"only one side has {', '.join(sorted(lacking))}")
    model.load_state_dict(state, strict=False)
