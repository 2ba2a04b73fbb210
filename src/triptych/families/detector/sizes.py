"""How much there is to detect: boxes of a recipe's datasets and what they are called, as far as that can be told cheaply."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields
from pathlib import Path

from triptych.data.config import DataConfig
from triptych.data.regions import regions_of
from triptych.data.sources import build as build_source
from triptych.errors import DataError
from triptych.planner.datasets import DatasetSize, check_lengths, expected_size, read_some, used
from triptych.planner.tokens import at_hand
from triptych.recipe import Recipe
from triptych.scenes.config import EpisodesConfig, ScenesConfig
from triptych.scenes.referring.config import ReferringConfig
from triptych.sequence.plan import Refusal

ASSUMED_BOXES, ASSUMED_NAMES, ASSUMED_EACH = 7.7, 80, 3.5
"""Boxes of a picture, categories in all and in a picture, of COCO (Lin et al., 2014); taken where nothing is known."""


@dataclass(frozen=True)
class BoxSize(DatasetSize):
    """The size of a dataset of boxes: `supervised` are boxes of a picture, `text_tokens` words of their names.

    Args:
        named: Phrase → share of the pictures that show something of that name.
    """

    named: Mapping[str, float] = field(default_factory=dict)


def box_sizes(recipe: Recipe) -> dict[str, BoxSize]:
    """The sizes of all datasets that stages draw from.

    Raises:
        RecipeError: A dataset that is not at hand does not say how many records to expect, and a stage's length
            depends on it.
    """
    sizes = {name: _size(name, recipe) for name in used(recipe)}
    check_lengths(recipe, sizes)
    return sizes


def phrases_of(sizes: Mapping[str, BoxSize], draws: Mapping[str, float]) -> list[str]:
    """As many phrases as a batch is expected to have, the likeliest ones.

    Args:
        sizes: Of the datasets.
        draws: Dataset → how many of the batch's pictures it gives.
    """
    names = {name for dataset in draws for name in sizes[dataset].named}
    missing = {  # the chance that no picture of the batch shows it
        name: math.prod((1 - sizes[dataset].named.get(name, 0.0)) ** count for dataset, count in draws.items())
        for name in names
    }
    expected = round(sum(1 - chance for chance in missing.values()))
    return sorted(names, key=lambda name: (missing[name], name))[: max(1, expected)]


def _size(name: str, recipe: Recipe) -> BoxSize:
    config: DataConfig = recipe.data[name]
    base = Path(recipe.base)
    drawn = isinstance(config, ScenesConfig | EpisodesConfig | ReferringConfig)
    try:
        if drawn and not at_hand(config.font, base):  # type: ignore[union-attr]
            raise DataError("its font has not been fetched")
        source = build_source(config, base)
    except DataError as error:
        return _assumed(name, config, str(error))
    found = []
    for conversation in read_some(source):
        try:
            found.append([region.name for region in regions_of(conversation)])
        except Refusal:
            continue
    if not found:
        return _assumed(name, config, "none of its records has boxes")
    return _of(name, len(source), found, f"by {len(found)} of its records")


def _of(name: str, records: int, found: Sequence[Sequence[str]], origin: str) -> BoxSize:
    """From the names of the boxes of some pictures."""
    pictures = Counter(word for names in found for word in set(names))
    return BoxSize(
        name,
        records,
        media=1.0,
        text_tokens=sum(len(word.split()) for names in found for word in names) / len(found),
        supervised=sum(map(len, found)) / len(found),
        origin=origin,
        named={word: count / len(found) for word, count in pictures.items()},
    )


def _assumed(name: str, config: DataConfig, reason: str) -> BoxSize:
    """Of data that cannot be read: scenes say how many things they show, others are taken to be like COCO's instances."""
    size = expected_size(name, config, reason)
    known = {each.name: getattr(size, each.name) for each in fields(size)} | {"media": 1.0}
    if isinstance(config, ScenesConfig):
        things, boxes = [thing.name for thing in config.cast().things], sum(config.objects) / 2
        each = min(boxes, len(things)) / len(things)
        origin = "drawn on demand; from what the recipe says"
        return BoxSize(
            **{**known, "supervised": boxes, "text_tokens": boxes, "origin": origin}, named=dict.fromkeys(things, each)
        )
    told = getattr(getattr(config, "expected", None), "supervised_tokens", None)
    boxes = told if told is not None else ASSUMED_BOXES
    names = {f"thing {number}": ASSUMED_EACH / ASSUMED_NAMES for number in range(ASSUMED_NAMES)}
    origin = f"{size.origin}; names, and boxes where it does not tell them, as COCO has them"
    return BoxSize(**{**known, "supervised": boxes, "text_tokens": 2 * boxes, "origin": origin}, named=names)
