"""`unit: true`: every position through the last normalisation and to length one, as Kosmos reads its tower."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from pydantic import ValidationError

from triptych.encoders.build import build
from triptych.encoders.config import HuggingFaceConfig

SIZE = {"hidden_size": 16, "intermediate_size": 24, "num_hidden_layers": 2, "num_attention_heads": 2}


def config(model_type: str, **options: Any) -> HuggingFaceConfig:
    architecture = {"model_type": model_type, "image_size": 32, "patch_size": 8, **SIZE}
    return HuggingFaceConfig(architecture=architecture, layer="output", precision="float32", **options)


@pytest.mark.parametrize("model_type", ["clip_vision_model", "siglip_vision_model"])
def test_positions_have_length_one_and_the_direction_of_the_normalised_output(model_type: str) -> None:
    plain, unit = build(config(model_type)), build(config(model_type, unit=True))
    pixels = torch.randint(0, 256, (2, 3, 32, 32), dtype=torch.uint8)
    with torch.inference_mode():
        hidden, features = plain(pixels), unit(pixels)
        if model_type == "clip_vision_model":  # only its class token went through the normalisation
            hidden = plain.model.post_layernorm(hidden)  # type: ignore[union-attr, operator]
    torch.testing.assert_close(features.norm(dim=-1), torch.ones(features.shape[:-1]))
    torch.testing.assert_close(features, hidden / hidden.norm(dim=-1, keepdim=True))
    assert unit.fingerprint != plain.fingerprint


def test_it_is_of_the_last_layer_only() -> None:
    with pytest.raises(ValidationError, match="set `layer: output`"):
        HuggingFaceConfig(architecture={"model_type": "clip_vision_model"}, unit=True)
