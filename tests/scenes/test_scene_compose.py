from __future__ import annotations

import pickle
from collections import Counter

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from triptych.scenes import PLACES, Cast, Glyphs, Settings, compose, select


@pytest.fixture(scope="module")
def many(glyphs: Glyphs) -> Settings:
    return Settings(Cast(select(400)), glyphs)


def test_boxes_are_tight_around_what_is_drawn_and_masks_lie_within(many: Settings):
    """Seen from the pixels alone: the picture differs from its background up to the edges of boxes, and not beyond."""
    for index in range(60):
        scene = compose(many, index)
        difference = np.abs(np.asarray(scene.draw(), dtype=int) - np.array(scene.background)).max(axis=-1)
        for i, item in enumerate(scene.objects):
            left, top, right, bottom = item.box
            assert scene.region(i).box == item.box
            assert _bounds(scene.mask(i)) == item.box
            around = np.zeros_like(difference)
            window = np.s_[max(top - 3, 0) : bottom + 3, max(left - 3, 0) : right + 3]
            around[window] = difference[window]
            # Half-covered pixels of a black outline differ by about 120 from a light background.
            seen = _bounds(around > 90)
            assert max(abs(a - b) for a, b in zip(seen, item.box, strict=True)) <= 1, item
            difference[window] = 0
        assert difference.max() == 0


def _bounds(mask: NDArray[np.bool_]) -> tuple[int, int, int, int]:
    rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    return int(columns[0]), int(rows[0]), int(columns[-1]) + 1, int(rows[-1]) + 1


def test_objects_lie_in_their_places_and_never_overlap(many: Settings):
    for index in range(200):
        scene = compose(many, index)
        places = [item.place for item in scene.objects]
        assert len(set(places)) == len(places)
        for i, item in enumerate(scene.objects):
            row, column = divmod(PLACES.index(item.place), 3)
            left, top, right, bottom = (edge / scene.size * 3 for edge in item.box)
            assert column <= left < right <= column + 1
            assert row <= top < bottom <= row + 1
            assert all(scene.region(i).iou(scene.region(j)) == 0 for j in range(i))


def test_relations_hold_between_whole_boxes_and_their_opposites_hold_too(many: Settings):
    for index in range(100):
        scene = compose(many, index)
        boxes = [item.box for item in scene.objects]
        relations = set(scene.relations)
        for i, relation, j in relations:
            a, b = boxes[i], boxes[j]
            holds = {"left of": a[2] <= b[0], "right of": a[0] >= b[2], "above": a[3] <= b[1], "below": a[1] >= b[3]}
            assert holds[relation]
            opposite = {"left of": "right of", "right of": "left of", "above": "below", "below": "above"}[relation]
            assert (j, opposite, i) in relations


def test_sizes_and_positions_vary_within_a_place(many: Settings):
    boxes = [item.box for i in range(300) for item in compose(many, i).objects if item.place == "center"]
    lengths = {max(right - left, bottom - top) for left, top, right, bottom in boxes}
    assert len(lengths) >= 5
    assert len({box[:2] for box in boxes}) > len(boxes) / 2


@settings(max_examples=40, deadline=None)
@given(index=st.integers(0, 10**9), seed=st.integers(0, 2**31 - 1), size=st.integers(96, 400), low=st.integers(1, 9))
def test_any_setting_gives_a_scene_within_bounds(glyphs: Glyphs, index: int, seed: int, size: int, low: int):
    scene = compose(Settings(Cast(select(100)), glyphs, "train", seed, (low, 9), size), index)
    assert low <= len(scene.objects) <= 9
    assert scene.draw().size == (size, size)
    assert all(0 <= edge <= size for item in scene.objects for edge in item.box)


def test_counts_are_uniform_where_they_are_asked(glyphs: Glyphs):
    """Of scenes with a focus, its count; of the others, the number of all objects: each from 1 to 6, evenly."""
    config = Settings(Cast(select(64)), glyphs)
    focus, total = Counter(), Counter()
    for index in range(6000):
        scene = compose(config, index)
        if scene.focus is not None:
            focus[scene.counts[scene.focus]] += 1
        else:
            total[len(scene.objects)] += 1
    for counts in (focus, total):
        assert set(counts) == set(range(1, 7))
        expected = sum(counts.values()) / 6
        chi_square = sum((n - expected) ** 2 / expected for n in counts.values())
        assert chi_square < 20.5  # 5 degrees of freedom: p = 0.001


def test_places_and_things_are_drawn_evenly(glyphs: Glyphs):
    config = Settings(Cast(select(64)), glyphs)
    objects = [item for index in range(3000) for item in compose(config, index).objects]
    places = Counter(item.place for item in objects)
    assert max(places.values()) / min(places.values()) < 1.2
    things = Counter(item.thing for item in objects)
    assert len(things) == 64
    assert max(things.values()) < 2 * min(things.values())


def test_a_scene_survives_pickling_and_draws_the_same(many: Settings):
    scene = compose(many, 5)
    packed = pickle.dumps(scene)
    assert len(packed) < 10_000
    again = pickle.loads(packed)
    assert again == scene
    assert again.draw().tobytes() == scene.draw().tobytes()
