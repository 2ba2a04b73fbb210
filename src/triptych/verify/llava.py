"""LLaVA against transformers: tower, projector and language model composed here, and as one of their classes."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Literal

import torch
from torch import Tensor

from triptych.adapters.build import build as build_adapter
from triptych.adapters.config import MLPConfig
from triptych.conversation import Image
from triptych.encoders.build import build as build_encoder
from triptych.encoders.config import HuggingFaceConfig
from triptych.model.composed import MultimodalModel
from triptych.sequence.config import SequenceConfig
from triptych.sequence.pack import Batch, pack
from triptych.sequence.plan import Layout, Span
from triptych.verify.check import Check
from triptych.verify.llama import carry, language_model, largest, randomise
from triptych.verify.llama import config as llama_config
from triptych.weights.names import NameMap

REFERENCE = "transformers.LlavaForConditionalGeneration"

TOWER: dict[str, Any] = {
    "hidden_size": 32,
    "intermediate_size": 48,
    "num_hidden_layers": 3,
    "num_attention_heads": 2,
    "image_size": 32,
    "patch_size": 8,
}
IMAGE = 95
"""Id of the reference's placeholder."""

_LAST = f"model.vision_tower.encoder.layers.{TOWER['num_hidden_layers'] - 1}"
NAMES = NameMap(
    {
        "model.vision_tower": "encoders.image.model",
        "model.multi_modal_projector.linear_1": "adapters.image.projection.0",
        "model.multi_modal_projector.linear_2": "adapters.image.projection.2",
        "model.language_model": "language.model.model",
        "lm_head": "language.model.lm_head",
    },
    # Features come out before the last layer, which is not built here.
    ignored=(_LAST, "model.vision_tower.post_layernorm"),
)
"""Its names to those of the composed model."""


def llava() -> Iterator[Check]:
    """Logits of documents with pictures, apart and packed, weights carried over in both directions."""
    theirs, ours = _reference(1), _composed(2)
    carry(theirs, ours, NAMES)
    torch.manual_seed(0)
    pixels = [torch.randint(0, 256, (3, 32, 32)).to(torch.uint8) for _ in range(3)]
    layouts = [_layout(length, places, i) for i, (length, places) in enumerate(((7, (2,)), (9, (0, 5)), (6, ())))]
    expected = [_their_logits(theirs, ours, layout, pixels) for layout in layouts]
    apart = [_our_logits(ours, [layout], pixels)[0] for layout in layouts]
    packed = _our_logits(ours, layouts, pixels)
    yield Check("LLaVA: logits, weights carried over from the reference", REFERENCE, largest(apart, expected))
    yield Check("LLaVA: logits of documents packed in one row", REFERENCE, largest(packed, expected))

    own, back = _composed(3), _reference(4)
    missing, unexpected = back.load_state_dict(NAMES.theirs(dict(own.named_parameters())), strict=False)
    left = [name for name in missing if not name.startswith(NAMES.ignored)]
    yield Check("LLaVA: parameters that are not carried over", REFERENCE, float(len(left) + len(unexpected)), bound=0.0)
    expected = [_their_logits(back, own, layout, pixels) for layout in layouts]
    mine = [_our_logits(own, [layout], pixels)[0] for layout in layouts]
    yield Check("LLaVA: logits, weights carried over to the reference", REFERENCE, largest(mine, expected))


def llava_linear() -> Iterator[Check]:
    """The projector of LLaVA 1 (and MiniGPT-4): one linear layer, against PyTorch's own."""
    from triptych.adapters.config import LinearConfig

    torch.manual_seed(0)
    config = LinearConfig(normalise=False, positions=False, output_scale=None)
    adapter = build_adapter(config, 32, (4, 4), 48, 1.0)
    features = torch.randn(2, 16, 32)
    weight, bias = (parameter for _, parameter in sorted(adapter.named_parameters(), reverse=True))
    with torch.inference_mode():
        expected = torch.einsum("ntc,dc->ntd", features, weight) + bias
        yield Check(
            "LLaVA: features through the linear layer", "torch.einsum", largest([adapter(features)], [expected])
        )


def _reference(seed: int) -> Any:
    from transformers import CLIPVisionConfig, LlavaConfig, LlavaForConditionalGeneration

    config = LlavaConfig(
        vision_config=CLIPVisionConfig(**TOWER),
        text_config=llama_config(),
        image_token_index=IMAGE,
        image_seq_length=16,
        vision_feature_layer=-2,
        vision_feature_select_strategy="default",
        projector_hidden_act="gelu",
        tie_word_embeddings=False,
        attn_implementation="eager",
    )
    return randomise(LlavaForConditionalGeneration(config).eval(), seed)


def _composed(seed: int, fit: Literal["squash"] = "squash") -> MultimodalModel:
    from transformers import LlamaForCausalLM

    tower = HuggingFaceConfig(
        architecture={"model_type": "clip_vision_model", **TOWER}, layer=-2, fit=fit, precision="float32"
    )
    encoder = build_encoder(tower)
    language = language_model(LlamaForCausalLM(llama_config()).eval())
    projector = MLPConfig(normalise=False, positions=False, output_scale=None)
    adapter = build_adapter(projector, encoder.dim, encoder.grid, language.dim, 1.0)
    model = MultimodalModel(language, {"image": encoder}, {"image": adapter}, SequenceConfig(max_tokens=64))
    composed: MultimodalModel = randomise(model.eval(), seed)
    return composed


def _layout(words: int, places: tuple[int, ...], number: int) -> Layout:
    """A document of so many words with pictures in front of some of them."""
    ids: list[int] = []
    spans = []
    for place in range(words):
        if place in places:
            spans.append(Span(len(ids), 16, Image(f"picture {number} {place}".encode())))
            ids += [IMAGE] * 16
        ids.append(3 + (7 * number + 5 * place) % 80)
    return Layout(tuple(ids), tuple(ids), tuple(spans))


def _shown(layout: Layout, pixels: list[Tensor]) -> list[Tensor]:
    return [pixels[int(str(span.medium.content_hash), 16) % len(pixels)] for span in layout.spans]


def _their_logits(theirs: Any, ours: MultimodalModel, layout: Layout, pixels: list[Tensor]) -> Tensor:
    encoder: Any = ours.encoder()
    shown = _shown(layout, pixels)
    inputs = {"pixel_values": encoder.normalise(torch.stack(shown), torch.float32)} if shown else {}
    with torch.inference_mode():
        found: Tensor = theirs(input_ids=torch.tensor([layout.ids]), **inputs).logits[0]
    return found


def _our_logits(ours: MultimodalModel, layouts: list[Layout], pixels: list[Tensor]) -> list[Tensor]:
    """Logits `[L, V]` per document, all of them packed in one row."""
    from dataclasses import replace

    batch: Batch = pack([replace(layout, id=str(i)) for i, layout in enumerate(layouts)], 256)
    shown = {
        span.medium.content_hash: one
        for layout in layouts
        for span, one in zip(layout.spans, _shown(layout, pixels), strict=True)
    }
    batch = replace(batch, pixels=tuple(shown[medium.content_hash] for medium in batch.media))
    with torch.inference_mode():
        row = ours.language.logits(ours(batch))[0]
    found: dict[str, Tensor] = {}
    for number, document in enumerate(batch.conversations):
        found[document.id] = row[batch.documents[0] == number]
    return [found[str(i)] for i in range(len(layouts))]
