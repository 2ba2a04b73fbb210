"""Shikra's coordinates: plain text with three decimals, read back by us and by JSON's own reader of numbers.

Shikra has no tokens and no computation of its own beside LLaVA's; what can differ is how boxes are written and read, and the
padding to a square that they are shares of.
"""

from __future__ import annotations

import json
import random
from collections.abc import Iterator

from parity.check import Check
from triptych.conversation import NORMALISED, Frame, Region
from triptych.encoders.preparation import ImagePreparation
from triptych.grounding.formats.shikra import Shikra
from triptych.grounding.introduce import from_input, into_input

COUNT = 10_000


def coordinates(count: int = COUNT) -> Iterator[Check]:
    """Boxes as text and back, by us and by JSON; and through the square in pixels of the picture."""
    draw, form = random.Random(0), Shikra()
    apart = other = moved = 0.0
    wrong = 0
    for _ in range(count):
        regions = [
            Region.from_corners([draw.random() for _ in range(4)], NORMALISED) for _ in range(draw.randint(1, 3))
        ]
        text = "".join(form.write("the dog", regions))
        parsed = form.parse(text)
        read = json.loads(text.removeprefix("the dog").replace(";", "],[").replace("[", "[[", 1) + "]")
        wrong += parsed.verdict != "valid" or [r.name for r in parsed.regions] != ["the dog"] * len(regions)
        for expected, mine, theirs in zip(regions, parsed.regions, read, strict=True):
            apart = max(apart, *(abs(a - b) for a, b in zip(mine.box, expected.box, strict=True)))
            other = max(other, *(abs(a - b) for a, b in zip(mine.box, theirs, strict=True)))
        moved = max(moved, _through_the_square(draw, form))
    yield Check(
        f"Shikra: {count:,} answers that are not valid, or lose their phrase", "their own text", float(wrong), 0.0
    )
    yield Check("Shikra: boxes, shares of the picture", "the boxes written", apart, bound=0.0005 + 1e-9)
    yield Check("Shikra: boxes, shares of the picture", "json.loads of the same digits", other, bound=0.0)
    yield Check(
        "Shikra: boxes through the padded square and back, shares of it", "the boxes written", moved, 0.0005 + 1e-9
    )


def _through_the_square(draw: random.Random, form: Shikra) -> float:
    """How far a corner is off behind writing, reading and going back to the picture, as a share of the square."""
    width, height = draw.randint(50, 2000), draw.randint(50, 2000)
    box = [draw.random() * side for side in (width, height, width, height)]
    region = Region.from_corners(box, Frame(width, height))
    preparation = ImagePreparation(224, "pad")
    expected = into_input(preparation, region)
    (parsed,) = form.parse("".join(form.write("", [expected]))).regions
    again = into_input(preparation, from_input(preparation, parsed, width, height))
    return max(abs(a - b) for a, b in zip(again.normalised, expected.normalised, strict=True))
