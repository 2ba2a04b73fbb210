"""LLaVA against transformers: tower, projector and language model composed here, and as one of their classes."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor

from parity.check import Check
from parity.compare import compare
from parity.composed import composed, packed_logits
from parity.llama import carry, language_model, randomise
from parity.llama import config as llama_config
from parity.tiny.systems import TOWER as SMALL_TOWER
from triptych.adapters.build import build as build_adapter
from triptych.adapters.config import MLPConfig
from triptych.conversation import Image
from triptych.encoders.build import build as build_encoder
from triptych.encoders.config import HuggingFaceConfig
from triptych.model.composed import MultimodalModel
from triptych.sequence.plan import Layout, Span
from triptych.weights.names import NameMap

REFERENCE = "transformers.LlavaForConditionalGeneration"

TOWER: dict[str, Any] = {**SMALL_TOWER, "hidden_size": 32, "intermediate_size": 48}
PROJECTOR: dict[str, Any] = {"normalise": False, "positions": False, "output_scale": None}
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
    yield compare("LLaVA: logits, weights carried over from the reference", REFERENCE, apart, expected)
    yield compare("LLaVA: logits of documents packed in one row", REFERENCE, packed, expected)

    own, back = _composed(3), _reference(4)
    missing, unexpected = back.load_state_dict(NAMES.theirs(dict(own.named_parameters())), strict=False)
    left = [name for name in missing if not name.startswith(NAMES.ignored)]
    yield Check("LLaVA: parameters that are not carried over", REFERENCE, float(len(left) + len(unexpected)), bound=0.0)
    expected = [_their_logits(back, own, layout, pixels) for layout in layouts]
    mine = [_our_logits(own, [layout], pixels)[0] for layout in layouts]
    yield compare("LLaVA: logits, weights carried over to the reference", REFERENCE, mine, expected)


def llava_linear() -> Iterator[Check]:
    """The projector of LLaVA 1 (and MiniGPT-4): one linear layer, against PyTorch's own."""
    from triptych.adapters.config import LinearConfig

    torch.manual_seed(0)
    config = LinearConfig(**PROJECTOR)
    adapter = build_adapter(config, 32, (4, 4), 48, 1.0)
    features = torch.randn(2, 16, 32)
    weight, bias = (parameter for _, parameter in sorted(adapter.named_parameters(), reverse=True))
    with torch.inference_mode():
        expected = torch.einsum("ntc,dc->ntd", features, weight) + bias
        yield compare("LLaVA: features through the linear layer", "torch.einsum", adapter(features), expected)


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


def _composed(seed: int) -> MultimodalModel:
    from transformers import LlamaForCausalLM

    tower = HuggingFaceConfig(
        architecture={"model_type": "clip_vision_model", **TOWER}, layer=-2, fit="squash", precision="float32"
    )
    encoder = build_encoder(tower)
    language = language_model(LlamaForCausalLM(llama_config()).eval())
    model: MultimodalModel = randomise(composed(language, encoder, MLPConfig(**PROJECTOR)), seed)
    return model


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
    encoder: Any = ours.encoder("image")
    images = _shown(layout, pixels)
    inputs = {"pixel_values": encoder.normalise(torch.stack(images), torch.float32)} if images else {}
    with torch.inference_mode():
        logits: Tensor = theirs(input_ids=torch.tensor([layout.ids]), **inputs).logits[0]
    return logits


def _our_logits(ours: MultimodalModel, layouts: list[Layout], pixels: list[Tensor]) -> list[Tensor]:
    return packed_logits(ours, layouts, [_shown(layout, pixels) for layout in layouts])
