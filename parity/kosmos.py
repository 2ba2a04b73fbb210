"""Kosmos-2 held against transformers: vision tower, connector and sub-LN decoder, pictures between words, two in a row.

Kosmos-1's own code was never released; Kosmos-2 (Peng et al. 2023, https://arxiv.org/abs/2306.14824) is its successor of the
same architecture, but for sinusoidal positions instead of xPos in the released weights.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor

from parity.check import Check
from parity.compare import compare
from parity.composed import composed as build_composed
from parity.composed import packed_logits
from parity.tiny.systems import kosmos2, seeing_all
from parity.tiny.words import word_level
from triptych.adapters.config import ConnectorConfig
from triptych.conversation import Image
from triptych.encoders.build import build as build_encoder
from triptych.encoders.config import HuggingFaceConfig
from triptych.formats.format import prefixed
from triptych.formats.kosmos2 import ADAPTER
from triptych.kernels.fast import accelerate
from triptych.language import kosmos
from triptych.language.backbone import LanguageModel
from triptych.language.template import ChatTemplate
from triptych.model.composed import MultimodalModel
from triptych.sequence.plan import Layout, Span
from triptych.weights.names import NameMap

REFERENCE = "transformers.Kosmos2ForConditionalGeneration"

KOSMOS2 = NameMap(
    {
        "vision_model.model.embeddings": "encoders.image.model.embeddings",
        "vision_model.model.pre_layrnorm": "encoders.image.model.pre_layrnorm",
        "vision_model.model.encoder.layers.{}": "encoders.image.model.encoder.layers.{}",
        "vision_model.model.post_layernorm": "encoders.image.model.post_layernorm",
        **prefixed(ADAPTER.patterns, "image_to_text_projection.", "adapters.image."),
        "text_model.model": "language.model.model",
        "text_model.lm_head": "language.model.lm_head",
    }
)
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
    yield compare("Kosmos-2 logits, weights of the reference", REFERENCE, apart, theirs)
    yield compare("Kosmos-2 logits, both documents packed in one row", REFERENCE, packed, theirs)

    randomise(ours)
    other.load_state_dict(KOSMOS2.theirs(parameters(ours)), strict=True)
    theirs = [_their_logits(other, ours, ids, picture) for ids, picture in zip(documents, pixels, strict=True)]
    mine = [_our_logits(ours, [ids], [picture])[0] for ids, picture in zip(documents, pixels, strict=True)]
    yield compare("Kosmos-2 logits, weights of ours", REFERENCE, mine, theirs)


def tiny_kosmos2(vocabulary: int = WORDS) -> Any:
    """A Kosmos-2 of transformers with random weights and as few of them as will do.

    Args:
        vocabulary: How many tokens it knows.
    """
    model = seeing_all(kosmos2(vocabulary, 64, hidden_size=24, num_hidden_layers=2).eval())
    randomise(model)
    return model


def composed(reference: Any, tokenizer: Any = None, template: ChatTemplate | None = None) -> MultimodalModel:
    """The composed model of a recipe for Kosmos-2 at the reference's size, random weights.

    Args:
        reference: Whose size it has.
        tokenizer: Its words; by default there are none, and checks bring their own ids.
        template: How it writes conversations.
    """
    text, vision = reference.config.text_config, reference.config.vision_config
    names = ("hidden_size", "intermediate_size", "num_hidden_layers", "num_attention_heads", "image_size", "patch_size")
    tower = {name: getattr(vision, name) for name in names} | {"hidden_act": vision.hidden_act}
    tower |= {"model_type": "clip_vision_model"}
    output: dict[str, Any] = {"layer": "output", "unit": True, "drop_cls": False}
    encoder = build_encoder(HuggingFaceConfig(architecture=tower, fit="squash", precision="float32", **output))
    connector = ConnectorConfig(latents=LATENTS, heads=text.attention_heads, normalise=False, output_scale=None)
    decoder = kosmos.build(text, torch.float32)
    decoder.config.use_cache = False
    accelerate(decoder)
    tokenizer = tokenizer or word_level(["<s>", "<pad>", "</s>", "<unk>"])
    language = LanguageModel(decoder, tokenizer, template or ChatTemplate(tokenizer))
    return build_composed(language, encoder, connector)


def _document(words: list[int], place: int) -> list[int]:
    """Ids with a picture's positions after so many words."""
    return [*words[:place], *[IMAGE] * LATENTS, *words[place:]]


def _their_logits(reference: Any, ours: MultimodalModel, ids: list[int], pixels: Tensor) -> Tensor:
    encoder = ours.encoder("image")
    prepared = encoder.normalise(pixels[None], torch.float32)  # type: ignore[operator]
    row = torch.tensor([ids])
    with torch.inference_mode():
        logits: Tensor = reference(
            pixel_values=prepared, input_ids=row.clone(), image_embeds_position_mask=row == IMAGE, use_cache=False
        ).logits[0]
    return logits


def _our_logits(ours: MultimodalModel, documents: list[list[int]], pixels: list[Tensor]) -> list[Tensor]:
    layouts = [
        Layout(tuple(ids), tuple(ids), (Span(ids.index(IMAGE), LATENTS, Image(b"", key=f"picture {number}")),))
        for number, ids in enumerate(documents)
    ]
    return packed_logits(ours, layouts, [[one] for one in pixels], pad=1)


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
