"""Masks are COCO's to the bit; regions keep to their frame, whatever the notation."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from triptych.conversation import NORMALISED, Frame, Mask, Region, rle

coco = pytest.importorskip("pycocotools.mask")

numbers = st.floats(-50, 150, allow_nan=False)


def test_run_lengths_and_polygons_are_those_of_pycocotools() -> None:
    random = np.random.default_rng(0)
    for _ in range(300):
        height, width = (int(side) for side in random.integers(1, 60, 2))
        polygon = random.uniform(-10, 70, 2 * random.integers(3, 9)).round(random.integers(0, 4)).tolist()
        theirs = coco.decode(coco.merge(coco.frPyObjects([polygon], height, width))).astype(bool)
        assert (rle.polygon_mask(polygon, height, width) == theirs).all()
        pixels = random.random((height, width)) < random.random()
        encoded = coco.encode(np.asfortranarray(pixels.astype(np.uint8)))
        mask = Mask.encode(pixels)
        assert mask.to_coco() == {"size": [height, width], "counts": encoded["counts"].decode()}
        assert Mask.from_coco(encoded, 1, 1) == mask
        assert (mask.decode() == pixels).all() and mask.area == coco.area(encoded)
        left, top, across, down = coco.toBbox(encoded)
        assert mask.box == ((left, top, left + across, top + down) if pixels.any() else (0, 0, 0, 0))


@pytest.mark.parametrize("text", ["\x00", "zzz\x7f", "0" * 5 + "P", "PPPPPPPPPPPPPPPPPPPP"])
def test_text_that_is_no_run_length_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="run"):
        Mask.from_coco({"size": [4, 4], "counts": text}, 4, 4)


def test_masks_overlap_at_any_resolution() -> None:
    square = Mask(40, 40, ((0.0, 0.0, 20.0, 0.0, 20.0, 40.0, 0.0, 40.0),))
    pixels = np.zeros((20, 20), dtype=bool)
    pixels[:, 5:15] = True
    assert square.iou(Mask.encode(pixels)) == pytest.approx(1 / 3, abs=0.05)
    assert square.decode(80, 80).mean() == pytest.approx(0.5, abs=0.03)
    with pytest.raises(ValueError, match="either polygons or run lengths"):
        Mask(4, 4)


@given(st.tuples(numbers, numbers, numbers, numbers), st.integers(1, 2000), st.integers(1, 2000))
def test_every_notation_leads_back(corners: tuple[float, float, float, float], width: int, height: int) -> None:
    frame = Frame(width, height)
    region = Region.from_corners(corners, frame, "it")
    for other in (
        Region.from_xywh(region.xywh, frame, "it"),
        Region.from_cxcywh(region.cxcywh, frame, "it"),
        Region(region.normalised, NORMALISED, "it").to(frame),
    ):
        assert np.allclose(other.box, region.box, atol=1e-9)
    clipped = region.clip()
    assert 0 <= clipped.box[0] <= clipped.box[2] <= width and 0 <= clipped.box[1] <= clipped.box[3] <= height
    back = Region.from_thousandths(clipped.thousandths).to(frame)
    assert np.abs(np.subtract(back.box, clipped.box)).max() <= max(width, height) / 1000 + 1e-9


def test_a_box_outside_its_picture_is_answered() -> None:
    outside = Region((300, 10, 400, 50), Frame(200, 100)).clip()
    assert outside.box == (200, 10, 200, 50) and outside.is_degenerate
    assert outside.iou(outside) == 0.0
    point = Region.from_points([(3, 4)], Frame(10, 10))
    assert point.is_degenerate and np.allclose(point.to(NORMALISED).points, [(0.3, 0.4)])
    assert Region((0, 0, 4, 4), Frame(10, 10)).contains((3, 4))
    for bad in [(5, 0, 4, 1), (0, float("nan"), 1, 1), (0, 0, float("inf"), 1)]:
        with pytest.raises(ValueError, match=r"box|finite"):
            Region(bad, Frame(10, 10))
