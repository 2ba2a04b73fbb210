"""A scene: which things stand at which of nine places, how large, on which background; and how to draw it.

How many objects there are, and of what, is drawn so that answers cannot be guessed. Half of the scenes have a *focus*:
a thing whose count is uniform from 1 to the most, whatever else there is. The other half have none; there the number of
all objects is uniform. "How many dogs?" is asked of the first half, "How many objects?" of the second (both at
once is impossible: a count never exceeds the number of objects).
"""

from __future__ import annotations

import colorsys
import hashlib
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from math import ceil, floor
from pathlib import Path
from typing import TYPE_CHECKING, Any

from triptych.conversation import Frame, Region
from triptych.scenes.draw import Draw
from triptych.scenes.glyphs import OPAQUE, Glyphs
from triptych.scenes.pairs import Cast
from triptych.scenes.things import Thing
from triptych.weights.cache import file_sha256

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
    from PIL.Image import Image as PILImage

VERSION = 1
"""Part of every picture's key: raise it when the same settings and index draw other pixels than before."""

PLACES = ("top left", "top", "top right", "left", "center", "right", "bottom left", "bottom", "bottom right")
"""The nine places, row by row. A word alone is the middle of its side."""

MARGIN = 0.03
"""Of a place's side, the share that stays empty on each side: neighbours do not touch."""

LENGTHS = (0.60, 0.66, 0.72, 0.78, 0.84, 0.90)
"""Lengths of an object's longer side as shares of a place's side: few, so that glyphs are reduced once."""

OPPOSITE = {"left of": "right of", "right of": "left of", "above": "below", "below": "above"}
"""The relations between two objects, each with the one that holds the other way round."""


@dataclass(frozen=True)
class Settings:
    """Everything that decides the pixels of a dataset's scenes, beside the index."""

    cast: Cast
    glyphs: Glyphs
    split: str = "train"
    seed: int = 0
    objects: tuple[int, int] = (1, 6)
    size: int = 260

    def key(self, font: Path) -> str:
        """A hash of what decides pixels beside split, seed and index, and of nothing else; `font` is the glyphs' file."""
        pixels = [[thing.name for thing in self.cast.things], self.objects, self.size, file_sha256(font)]
        return hashlib.sha256(repr(pixels).encode()).hexdigest()[:16]


@dataclass(frozen=True)
class Object:
    """One thing in a scene: at which place, the pixels' top-left corner, length and tight box, all in pixels."""

    thing: Thing
    place: str
    corner: tuple[int, int]
    length: int
    box: tuple[int, int, int, int]

    @property
    def row(self) -> int:
        """0 at the top, 2 at the bottom."""
        return PLACES.index(self.place) // 3

    @property
    def column(self) -> int:
        """0 on the left, 2 on the right."""
        return PLACES.index(self.place) % 3


@dataclass(frozen=True)
class Scene:
    """A composed picture: what is known about it, and how to draw it.

    Args:
        objects: In reading order: row by row from the top, each from left to right. Boxes do not overlap.
        background: Red, green, blue, each 0 … 255.
        size: Side of the square picture in pixels.
        glyphs: The font.
        focus: The thing whose count is uniform over scenes, if this scene has one (see the module).
    """

    objects: tuple[Object, ...]
    background: tuple[int, int, int]
    size: int
    glyphs: Glyphs
    focus: Thing | None

    @cached_property
    def counts(self) -> Mapping[Thing, int]:
        """How many of each thing, in reading order of the first."""
        return Counter(item.thing for item in self.objects)

    @property
    def frame(self) -> Frame:
        """The frame of every box: the picture in pixels."""
        return Frame(self.size, self.size)

    def region(self, index: int) -> Region:
        """The tight box of an object, with its name."""
        item = self.objects[index]
        left, top, right, bottom = item.box
        return Region((left, top, right, bottom), self.frame, item.thing.name)

    @cached_property
    def relations(self) -> tuple[tuple[int, str, int], ...]:
        """Every (subject, relation, object) that holds, by indices of objects.

        Columns decide left and right, rows decide above and below; objects of one column are neither left nor right
        of each other. Places do not overlap, so whole boxes stand in the relation, not only their centres.
        """
        found: list[tuple[int, str, int]] = []
        for i, a in enumerate(self.objects):
            for j, b in enumerate(self.objects):
                if a.column != b.column:
                    found.append((i, "left of" if a.column < b.column else "right of", j))
                if a.row != b.row:
                    found.append((i, "above" if a.row < b.row else "below", j))
        return tuple(found)

    def draw(self) -> PILImage:
        """The picture, RGB."""
        from PIL import Image

        canvas = Image.new("RGB", (self.size, self.size), self.background)
        for item in self.objects:
            pixels = self.glyphs.at(item.thing.glyph, item.length).pixels
            canvas.paste(pixels, item.corner, pixels)
        return canvas

    def mask(self, index: int) -> NDArray[np.bool_]:
        """Which pixels an object covers: `[size, size]`, true where its glyph's alpha is at least one half."""
        import numpy as np

        item = self.objects[index]
        alpha = np.asarray(self.glyphs.at(item.thing.glyph, item.length).pixels.getchannel("A"))
        mask = np.zeros((self.size, self.size), dtype=bool)
        left, top = item.corner
        mask[top : top + alpha.shape[0], left : left + alpha.shape[1]] = alpha >= OPAQUE
        return mask

    def facts(self) -> dict[str, Any]:
        """What is known about the scene as plain values, ready for JSON. Boxes are in pixels of `size`."""
        return {
            "size": [self.size, self.size],
            "background": list(self.background),
            "objects": [
                {"name": item.thing.name, "group": item.thing.group, "place": item.place, "box": list(item.box)}
                for item in self.objects
            ],
            "relations": [list(relation) for relation in self.relations],
        }


def compose(settings: Settings, index: int, attempt: int = 0) -> Scene:
    """The scene of an index: the same whenever, wherever and in whatever order it is asked for.

    Args:
        settings: What every scene of the dataset has in common.
        index: Which scene of the split.
        attempt: Another scene in its place, for callers who reject some.

    Raises:
        DataError: The font cannot be read, or lacks a glyph.
    """
    draw = Draw("scenes", VERSION, settings.split, settings.seed, index, attempt)
    focus, counts = _contents(draw, settings)
    return arrange(draw, settings, [thing for thing, count in counts.items() for _ in range(count)], focus)


def arrange(draw: Draw, settings: Settings, things: Iterable[Thing], focus: Thing | None = None) -> Scene:
    """A scene of exactly these things (at most nine): places, sizes and background are drawn."""
    stock = draw.shuffled(things)
    places = sorted(draw.shuffled(range(9))[: len(stock)])
    objects = tuple(_put(draw, settings, thing, place) for thing, place in zip(stock, places, strict=True))
    return Scene(objects, _background(draw), settings.size, settings.glyphs, focus)


def _contents(draw: Draw, settings: Settings) -> tuple[Thing | None, dict[Thing, int]]:
    """The focus, if there is one, and how many of which thing."""
    cast, (fewest, most) = settings.cast, settings.objects
    if cast.strangers:
        first, second = draw.shuffled(draw.pick(cast.held_out))
        others = {second: 1}
        fewest = max(fewest, 2)
    else:
        first = draw.pick(cast.things)
        others = {}
    focused = draw.chance(0.5)
    counts = {first: draw.integer(1, most - len(others)) if focused else 1, **others}
    total = draw.integer(max(fewest, sum(counts.values())), most)
    while sum(counts.values()) < total:
        repeatable = [thing for thing in counts if not (focused and thing == first)]
        fresh = cast.beside(counts)
        if repeatable and (not fresh or draw.chance(0.3)):
            counts[draw.pick(repeatable)] += 1
        elif fresh:
            counts[draw.pick(fresh)] = 1
        else:
            break  # in a tiny selection, nothing may stand beside the focus
    return (first if focused else None), counts


def _put(draw: Draw, settings: Settings, thing: Thing, place: int) -> Object:
    """An object somewhere within its place, wholly inside."""
    row, column = divmod(place, 3)
    side = settings.size / 3
    length = int(draw.pick(LENGTHS) * side)
    glyph = settings.glyphs.at(thing.glyph, length)
    width, height = glyph.pixels.size
    left = draw.integer(ceil((column + MARGIN) * side), floor((column + 1 - MARGIN) * side) - width)
    top = draw.integer(ceil((row + MARGIN) * side), floor((row + 1 - MARGIN) * side) - height)
    x0, y0, x1, y1 = glyph.box
    return Object(thing, PLACES[place], (left, top), length, (left + x0, top + y0, left + x1, top + y1))


def _background(draw: Draw) -> tuple[int, int, int]:
    """A soft, light colour: the glyphs' black outlines stand out from it."""
    hue, saturation, value = draw.number(0, 1), draw.number(0.02, 0.30), draw.number(0.86, 1.0)
    red, green, blue = colorsys.hsv_to_rgb(hue, saturation, value)
    return round(255 * red), round(255 * green), round(255 * blue)
