from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image as Pillow

from triptych.conversation import NORMALISED, Frame, Mask, Region
from triptych.grounding.draw import COLOURS, colours_of, draw_regions, ink_on, place_labels

FRAME = Frame(100, 80)


def changed(before: Pillow.Image, after: Pillow.Image) -> np.ndarray:
    assert before.size == after.size
    return (np.asarray(before) != np.asarray(after)).any(axis=-1)


def test_a_box_is_drawn_where_it_is_in_whatever_frame() -> None:
    picture = Pillow.new("RGB", (100, 80), "gray")
    region = Region((20, 30, 60, 70), FRAME)
    drawn = draw_regions(picture, [region], edge=0)
    pixels = np.asarray(drawn)
    for x, y in ((40, 30), (20, 50), (60, 50), (40, 70)):
        assert tuple(pixels[y, x]) == COLOURS[0]
    rows, columns = (
        np.flatnonzero(changed(picture, drawn).any(axis=1)),
        np.flatnonzero(changed(picture, drawn).any(axis=0)),
    )
    assert rows[0] >= 28 and rows[-1] <= 72 and columns[0] >= 18 and columns[-1] <= 62
    assert not changed(picture, drawn)[40:60, 30:50].any()  # the inside of a box stays as it is
    assert not changed(drawn, draw_regions(picture, [region.to(NORMALISED)], edge=0)).any()
    assert not changed(picture, Pillow.new("RGB", (100, 80), "gray")).any()  # the picture itself is not drawn on


def test_a_mask_is_tinted_and_nothing_else_of_its_box() -> None:
    pixels = np.zeros((80, 100), bool)
    pixels[30:70, 20:40] = True
    picture = Pillow.new("RGB", (100, 80), "white")
    drawn = draw_regions(picture, [Region((20, 30, 60, 70), FRAME, mask=Mask.encode(pixels))], edge=0)
    assert changed(picture, drawn)[35:65, 25:36].all()
    assert not changed(picture, drawn)[36:64, 46:54].any()


def test_small_pictures_are_enlarged_and_the_region_with_them() -> None:
    picture = Pillow.new("RGB", (50, 40), "gray")
    drawn = draw_regions(picture, [Region((25, 20, 45, 36), Frame(50, 40))])
    assert drawn.size == (640, 512)
    assert np.asarray(drawn)[400, 320].tolist() == list(COLOURS[0])
    assert draw_regions(Pillow.new("RGB", (900, 300)), []).size == (900, 300)


def test_regions_of_one_phrase_look_alike_and_others_do_not() -> None:
    shades = colours_of(["dog", "cup", "dog", "", ""])
    assert shades[0] == shades[2]
    assert len(set(shades)) == 4
    assert len(set(COLOURS)) == len(COLOURS)


def test_labels_can_be_read_on_every_colour() -> None:
    assert ink_on((255, 255, 255)) == "black"
    assert ink_on((0, 0, 0)) == "white"
    picture = Pillow.new("RGB", (640, 640), "gray")
    plain = draw_regions(picture, [Region((200, 200, 400, 400), Frame(640, 640))])
    named = draw_regions(picture, [Region((200, 200, 400, 400), Frame(640, 640), "the red apple")])
    assert changed(plain, named)[178:198, 204:290].mean() > 0.9


@given(st.lists(st.tuples(*[st.integers(0, 600)] * 4), min_size=1, max_size=9), st.integers(20, 200))
def test_labels_stay_inside_and_off_each_other(corners: list[tuple[int, ...]], width: int) -> None:
    boxes = [(min(a, c), min(b, d), max(a, c), max(b, d)) for a, b, c, d in corners]
    size = (width, 24)
    places = place_labels(boxes, [size] * len(boxes), (640, 640))
    for x, y in places:
        assert 0 <= x <= 640 - width and 0 <= y <= 640 - 24
    for i, (x, y) in enumerate(places):
        for u, v in places[:i]:
            assert abs(x - u) >= width or abs(y - v) >= 24


def test_odd_regions_and_long_names_are_drawn_all_the_same() -> None:
    picture = Pillow.new("RGB", (300, 200))
    regions = [
        Region((-50, -50, 900, 900), Frame(300, 200), "all of it and more, in very many words " * 8),
        Region((10, 10, 10, 10), Frame(300, 200), "a point without area"),
        Region.from_points([(150, 100)], Frame(300, 200), "here"),
        Region((500, 500, 600, 600), Frame(300, 200), "outside\n\twith breaks"),
    ]
    assert draw_regions(picture, regions).size == (640, 427)
    with pytest.raises(ValueError, match="as many labels"):
        draw_regions(picture, regions, labels=["one"])
