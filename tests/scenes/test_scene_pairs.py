from __future__ import annotations

import itertools
from typing import get_args

import pytest

from triptych.scenes import Glyphs, ScenesConfig, Settings, Split, all_things, compose, held_out


def test_an_eighth_of_all_pairs_is_held_out_whatever_the_order():
    names = [thing.name for thing in all_things()]
    for selection in (names[:64], names):
        pairs = list(itertools.combinations(selection, 2))
        assert 0.10 < sum(held_out(a, b) for a, b in pairs) / len(pairs) < 0.15
    assert all(held_out(a, b) == held_out(b, a) for a, b in itertools.combinations(names[:40], 2))
    assert not any(held_out(name, name) for name in names)


@pytest.mark.parametrize("things", [20, 64, 400])
@pytest.mark.parametrize("split", get_args(Split))
def test_held_out_pairs_meet_in_the_pairs_split_only_and_in_all_of_it(glyphs: Glyphs, split: Split, things: int):
    config = ScenesConfig(count=1, split=split, things=things)
    settings = Settings(config.cast(), glyphs, split)
    for index in range(400):
        names = {item.thing.name for item in compose(settings, index).objects}
        met = any(held_out(a, b) for a, b in itertools.combinations(sorted(names), 2))
        assert met == (split == "pairs")


def test_pairs_scenes_show_many_different_pairs(glyphs: Glyphs):
    config = ScenesConfig(count=1, split="pairs", things=64)
    settings = Settings(config.cast(), glyphs, "pairs")
    seen = set()
    for index in range(2000):
        names = sorted({item.thing.name for item in compose(settings, index).objects})
        seen |= {pair for pair in itertools.combinations(names, 2) if held_out(*pair)}
    assert len(seen) > 0.9 * len(config.cast().held_out)


def test_splits_and_seeds_show_different_pictures(glyphs: Glyphs):
    pictures = set()
    streams = [(split, seed) for split in ("train", "validation", "test") for seed in (0, 1)]
    for split, seed in streams:
        config = ScenesConfig(count=1, split=split, seed=seed)
        settings = Settings(config.cast(), glyphs, split, seed)
        pictures |= {compose(settings, index).objects for index in range(200)}
    assert len(pictures) == 200 * len(streams)
