"""A plan counts our own vision transformer, by a published name, from the hub's list, and from a run."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from triptych.encoders.published import PUBLISHED
from triptych.errors import RecipeError
from triptych.planner import plan
from triptych.planner.parts import Part
from triptych.recipe import parse_recipe

LANGUAGE = {
    "architecture": {
        "model_type": "llama",
        "vocab_size": 64,
        "hidden_size": 16,
        "intermediate_size": 32,
        "num_hidden_layers": 1,
        "num_attention_heads": 2,
    },
    "tokenizer": "file:x",
}


def encoder_part(base: Path | None = None, **encoder: Any) -> Part:
    model = {"language": LANGUAGE, "encoders": {"image": {"kind": "vit", **encoder}}}
    return plan(parse_recipe({"name": "x", "base": str(base or "."), "model": model}), "h100").parts[0]


def test_published_names_and_the_hub_agree() -> None:
    ours = encoder_part(architecture="clip-l14")
    assert ours.whole == 303_179_776  # transformers' CLIPVisionModel, without the projection
    layer = 12 * 1024**2 + 13 * 1024
    assert ours.parameters == ours.whole - layer - 2 * 1024  # the last layer and normalisation are not needed
    theirs = encoder_part(weights="hf:openai/clip-vit-large-patch14")
    assert (theirs.parameters, theirs.whole) == (ours.parameters, ours.whole)
    assert encoder_part(architecture="clip-l14", layer="output").parameters == ours.whole


def test_a_run_tells_its_shape(tmp_path: Path) -> None:
    shape = PUBLISHED["eva02-clip-b16"].vision.model_dump()
    model = {"kind": "dual", "vision": {"architecture": shape}, "text": {"architecture": "eva02-clip-b16"}}
    (tmp_path / "clip").mkdir()
    (tmp_path / "clip" / "recipe.yaml").write_text(yaml.safe_dump({"model": model}))
    (tmp_path / "clip" / "model.safetensors").touch()
    found = encoder_part(tmp_path, weights="run:clip")
    assert found.parameters == encoder_part(architecture="eva02-clip-b16").parameters


def test_a_file_does_not_tell(tmp_path: Path) -> None:
    (tmp_path / "eva.pt").touch()
    with pytest.raises(RecipeError, match="do not say what shape they have"):
        encoder_part(tmp_path, weights="file:eva.pt")
