"""Regions as plain values are those that were written, in any frame."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from triptych.conversation import NORMALISED, Frame, Region
from triptych.grounding.serial import region_of, region_values

FRAMES = (NORMALISED, Frame(64, 48), Frame(640, 480), Frame(1000, 1000), Frame(8000, 6000))


def test_a_small_thing_in_shares_is_where_it_was() -> None:
    truth = Region((0.1234, 0.4567, 0.1284, 0.4612), NORMALISED, "dog")
    again = region_of(json.loads(json.dumps(region_values(truth))))
    assert again.iou(truth.to(Frame(1920, 1080))) > 0.99
    assert region_values(Region((10.123, 20, 30, 40.999), Frame(640, 480)))["box"] == [10.12, 20, 30, 41.0]


@given(st.lists(st.floats(0, 1), min_size=4, max_size=4), st.sampled_from(FRAMES))
def test_no_coordinate_moves_by_more_than_a_hundredth_of_a_pixel(corners: list[float], frame: Frame) -> None:
    region = Region.from_corners(corners, NORMALISED).to(frame)
    again, picture = region_of(region_values(region)), Frame(640, 480)
    assert again.to(picture).box == pytest.approx(region.to(picture).box, abs=0.01)
