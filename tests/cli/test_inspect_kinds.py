"""`triptych inspect` of BLIP-2's first stage and of detectors: what training sees of a record."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image as Pillow
from test_program import run

import tiny_blip2
import tiny_boxes
from tiny_world import World
from triptych.recipe import dump_recipe


def test_blip2_shows_texts_queries_and_pairs(world: World, tmp_path: Path) -> None:
    path = tmp_path / "blip2.yaml"
    path.write_text(dump_recipe(tiny_blip2.recipe(world)))
    text = run("inspect", path, "--sample", 1, "--save", tmp_path / "seen.png")
    assert "It│" in text and "32 × 32 pixels" in text and "4 × 4 features" in text and "3 queries look at" in text
    decode = tiny_blip2.model(world).words.decode
    assert f"[DEC] ({decode})" in " ".join(text.split())
    assert "6 pairs, 30 that do not belong together; 18 are read together" in " ".join(text.split())
    with Pillow.open(tmp_path / "seen.png") as seen:
        assert seen.size == (32, 32)
    short = run("inspect", path, "model.max_tokens=4", "stages.0.objective={kind: blip2, weights: {itm: 0}}")
    assert "tokens cut off" in short and "read together" not in short


def test_a_detector_shows_boxes_where_the_encoder_sees_them(world: World, tmp_path: Path) -> None:
    """A picture of 64 × 48 on a square of 32: half as large, and a sixth of the height lower."""
    path = tmp_path / "boxes.yaml"
    path.write_text(dump_recipe(tiny_boxes.recipe(world)))
    text = run("inspect", path, "--sample", 2, "--save", tmp_path / "seen.png")
    regions = [part for part in tiny_boxes.Squares()[2].messages[1].parts if not isinstance(part, str)]
    for region in regions:
        left, top, right, bottom = region.box
        row = next(line for line in text.splitlines() if line.startswith(f"│ {region.name} "))
        cells = [cell.strip() for cell in row.strip("│").split("│")]
        assert cells[2:6] == [f"{v:.1f}" for v in (left / 2, top / 2 + 4, right / 2, bottom / 2 + 4)]
        assert int(cells[6]) >= 1
    assert sum(_cells(text)) == 16
    assert "16 pictures" in text and "answers to 'thing'" in " ".join(text.split())
    with Pillow.open(tmp_path / "seen.png") as seen:
        drawn = np.asarray(seen.convert("RGB")).astype(int)
    assert drawn.shape == (640, 640, 3)
    left, top, right, bottom = regions[0].box
    inside = drawn[round(20 * ((top + bottom) / 4 + 4)), round(20 * (left + right) / 4)]  # 20 pixels for one
    assert np.abs(inside - tiny_boxes.COLOURS[regions[0].name]).max() < 25


def _cells(text: str) -> tuple[int, int, int]:
    """How many show something, are ignored, should predict nothing."""
    words = " ".join(text.split())
    found = [
        words.split(f" {end}")[0].split()[-1] for end in ("show something", "lie in a box", "should predict nothing")
    ]
    shown, ignored, silent = map(int, found)
    return shown, ignored, silent


def test_what_has_no_boxes_is_refused_in_words(world: World, tmp_path: Path) -> None:
    path = tmp_path / "boxes.yaml"
    path.write_text(dump_recipe(tiny_boxes.recipe(world)))
    colours = "data.colours={kind: llava, path: data.json, images: pictures}"
    assert "refused (no boxes)" in run("inspect", path, colours, "--data", "colours")
