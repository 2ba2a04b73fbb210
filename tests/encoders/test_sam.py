"""SAM's image encoder: equal to transformers', and its recipe's word."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from PIL import Image as Pillow

from parity.sam import sam_pictures, tiny_sam
from triptych.conversation import Frame, Image, Region
from triptych.encoders.build import build
from triptych.encoders.config import SamConfig
from triptych.encoders.sam import SamEncoder
from triptych.errors import RecipeError, WeightsError

TINY = {
    "hidden_size": 16, "output_channels": 32, "num_hidden_layers": 2, "num_attention_heads": 2, "image_size": 32,
    "patch_size": 8, "window_size": 2, "global_attn_indexes": [1], "mlp_dim": 24,
}  # fmt: skip


def test_it_sees_what_transformers_sam_sees() -> None:
    for check in sam_pictures():
        assert check.equal, check


def test_random_weights_are_the_same_in_every_process() -> None:
    config = SamConfig(architecture=TINY, precision="float32")
    one, two = build(config), build(config)
    assert isinstance(one, SamEncoder)
    assert one.grid == (4, 4)
    assert one.dim == 32
    assert one.fingerprint == two.fingerprint
    assert build(config.model_copy(update={"fit": "pad"})).fingerprint != one.fingerprint
    with torch.no_grad():
        assert one(torch.zeros(2, 3, 32, 32)).shape == (2, 16, 32)


def test_the_picture_is_in_the_corner_and_its_regions_with_it() -> None:
    encoder = build(SamConfig(architecture=TINY, precision="float32"))
    picture = Pillow.new("RGB", (64, 32), (255, 0, 0))
    pixels = encoder.prepare(Image(picture))
    assert (pixels[0, :16] > 250).all()
    assert (pixels[0, 16:] < 130).all()
    region = encoder.preparation.transform(64, 32)(Region((32, 16, 64, 32), Frame(64, 32)))
    assert region.box == (16, 8, 32, 16)


def test_what_is_no_sam_is_said(tmp_path: Path) -> None:
    with pytest.raises(RecipeError, match="not a configuration of SAM"):
        build(SamConfig(architecture={"hidden_act": 3, "num_attention_heads": {}}))
    sam = tiny_sam()
    sam.save_pretrained(tmp_path)
    with pytest.raises(WeightsError):
        build(SamConfig(weights=f"file:{tmp_path / 'nothing'}"))
