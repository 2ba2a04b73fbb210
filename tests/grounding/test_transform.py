"""Regions move exactly as pixels do."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image as Pillow

from triptych.conversation import Frame, Mask, Region
from triptych.encoders.preparation import ImagePreparation
from triptych.grounding.transform import Transform

sizes = st.integers(8, 3000)
shares = st.floats(0, 1)


@st.composite
def chains(draw: st.DrawFn) -> Transform:
    """Any preparations one behind the other: resize, crop, pad, tile, or a whole preparation of an encoder."""
    found = Transform.identity(Frame(draw(sizes), draw(sizes)))
    for _ in range(draw(st.integers(1, 6))):
        frame = found.target
        match draw(st.sampled_from(["resize", "crop", "pad", "tile", "prepare"])):
            case "resize":
                step = Transform.resize(frame, draw(sizes), draw(sizes))
            case "crop":
                left, top = draw(shares) * frame.width / 2, draw(shares) * frame.height / 2
                step = Transform.crop(frame, (left, top, left + frame.width / 2, top + frame.height / 2))
            case "pad":
                more = draw(st.integers(0, 500))
                step = Transform.pad(frame, frame.width + more, frame.height + more, more / 3, more / 2)
            case "tile":
                step = draw(st.sampled_from(Transform.tiles(frame, max(frame.width, frame.height) / 2)))
            case _:
                fit = draw(st.sampled_from(["pad", "squash", "crop", "corner"]))
                width, height = max(1, round(frame.width)), max(1, round(frame.height))
                step = ImagePreparation(draw(st.integers(32, 600)), fit).transform(width, height)
        found = found.then(step)
    return found


@given(chains(), st.lists(shares, min_size=4, max_size=4))
@settings(max_examples=200, deadline=None)
def test_a_round_trip_through_any_chain_ends_where_it_began(chain: Transform, at: list[float]) -> None:
    frame = chain.source
    corners = (at[0] * frame.width, at[1] * frame.height, at[2] * frame.width, at[3] * frame.height)
    region = Region.from_corners(corners, frame, "it")
    there = chain(region)
    assert there.frame == chain.target
    assert np.abs(np.subtract(chain.back(there).box, region.box)).max() < 1e-3  # pixels; 0.5 would do


@pytest.mark.parametrize("fit", ["pad", "squash", "crop", "corner"])
@pytest.mark.parametrize("size", [(200, 100), (97, 211), (260, 260), (64, 63)])
def test_a_region_lies_where_the_prepared_pixels_are(fit: str, size: tuple[int, int]) -> None:
    width, height = size
    box = (round(width * 0.4), round(height * 0.45), round(width * 0.55), round(height * 0.6))
    picture = np.zeros((height, width, 3), dtype=np.uint8)
    picture[box[1] : box[3], box[0] : box[2]] = 255
    preparation = ImagePreparation(288, fit, colour=(0, 0, 0))  # type: ignore[arg-type]
    prepared = np.array(preparation.square(Pillow.fromarray(picture))).mean(axis=2) > 127
    rows, columns = np.flatnonzero(prepared.any(axis=1)), np.flatnonzero(prepared.any(axis=0))
    seen = (columns[0], rows[0], columns[-1] + 1, rows[-1] + 1)
    moved = preparation.transform(width, height)(Region(box, Frame(width, height)))
    assert np.abs(np.subtract(moved.box, seen)).max() <= 1.0
    assert moved.frame == Frame(288, 288)


def test_masks_and_points_move_with_their_box() -> None:
    frame = Frame(40, 20)
    pixels = np.zeros((20, 40), dtype=bool)
    pixels[5:15, 10:30] = True
    polygon = Mask(20, 40, ((10.0, 5.0, 30.0, 5.0, 30.0, 15.0, 10.0, 15.0),))
    chain = ImagePreparation(80).transform(40, 20)
    for mask in (Mask.encode(pixels), polygon):
        moved = chain(Region((10, 5, 30, 15), frame, mask=mask, points=((20.0, 10.0),)))
        assert moved.box == (20, 30, 60, 50)
        assert moved.points == ((40.0, 40.0),)
        assert moved.mask is not None
        assert moved.mask.decode().shape == (80, 80)
        assert moved.mask.box == moved.box
        back = chain.back(moved)
        assert back.mask is not None
        assert (back.mask.decode() == pixels).all()


def test_what_is_cropped_off_has_no_area() -> None:
    chain = ImagePreparation(100, "crop").transform(300, 100)
    gone = chain(Region((10, 10, 60, 60), Frame(300, 100))).clip()
    assert gone.is_degenerate
    kept = chain(Region((80, 10, 140, 60), Frame(300, 100))).clip()
    assert kept.box == (0, 10, 40, 60)


def test_chains_compose() -> None:
    frame = Frame(640, 480)
    a = Transform.resize(frame, 320, 240)
    b = Transform.pad(a.target, 320, 320, 0, 40)
    region = Region((100, 50, 200, 300), frame)
    assert a.then(b)(region).box == b(a(region)).box == (50, 65, 100, 190)
    tiles = Transform.tiles(Frame(500, 300), 224)
    assert len(tiles) == 6
    assert tiles[4](Region((300, 250, 310, 260), Frame(500, 300))).box == (76, 26, 86, 36)
