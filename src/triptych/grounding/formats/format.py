"""The interface of text formats, and what they share: clauses, verdicts, numbers that fall outside.

"a dog", Region ──write──► <phrase>a dog</phrase><object><patch_index_0044><patch_index_0863></object>
                ◄──parse── with a verdict: valid (by the rules), repaired (told nonetheless), invalid, none
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from triptych.conversation import NORMALISED, Region
from triptych.grounding.grounding import Verdict
from triptych.language.regions import Token


@dataclass(frozen=True)
class Parsed:
    """An answer taken apart.

    Args:
        regions: In normalised coordinates, named by their phrases, in order.
        words: What is said beside the regions.
        verdict: How well the answer keeps to the rules.
        reason: Why something that was meant to be a region is none, where that can be said.
    """

    regions: tuple[Region, ...]
    words: str
    verdict: Verdict
    reason: str = ""


class Format(Protocol):
    """One way to write regions as text. Coordinates are normalised to whatever frame the model uses."""

    @property
    def tokens(self) -> tuple[str, ...]:
        """Names of the tokens that the vocabulary needs; those of locations last, row by row of their grid."""
        ...

    @property
    def bins(self) -> int:
        """Side of the grid of location tokens; 0 where there are none."""
        ...

    def write(self, phrase: str, regions: Sequence[Region]) -> list[str | Token]:
        """A phrase ("" where there is none) with its regions; at least one region, in any frame, is clipped to it."""
        ...

    def parse(self, text: str) -> Parsed:
        """Regions out of any text whatever; never raises."""
        ...


EDGE = 0.05
"""How far beyond the frame, in shares of its side, a coordinate may lie and be put right."""

OTHER_UNIT = "coordinates that cannot be in the format's unit: far beyond the picture"


def possible(numbers: Sequence[float]) -> bool:
    """Whether normalised coordinates can be in the unit of the format: none lies further outside than `EDGE`."""
    return all(-EDGE <= number <= 1 + EDGE for number in numbers)


def region_of(numbers: Sequence[float], name: str) -> tuple[Region, bool]:
    """A normalised region of two or four numbers, and whether they had to be put right (order, bounds)."""
    inside = [min(1.0, max(0.0, number)) for number in numbers]
    repaired = inside != list(numbers)
    if len(inside) == 2:
        x, y = inside
        return Region.from_points([(x, y)], NORMALISED, name), repaired
    x0, y0, x1, y1 = inside
    return Region.from_corners(inside, NORMALISED, name), repaired or x0 > x1 or y0 > y1


def numbers_of(region: Region) -> tuple[float, ...]:
    """Two normalised numbers of a region that is a point, four of any other; inside the frame."""
    clipped = region.clip().to(NORMALISED)
    if len(region.points) == 1 and region.is_degenerate:
        x, y = region.to(NORMALISED).points[0]
        return min(1.0, max(0.0, x)), min(1.0, max(0.0, y))
    return clipped.box


_CLAUSE = re.compile(r"(?:.*[.,;:!?\n]|^)\s*(?:and\s+)?", re.DOTALL | re.IGNORECASE)


def last_clause(text: str) -> str:
    """The phrase in front of regions where nothing marks it: what follows the last punctuation, without an "and"."""
    return text[_CLAUSE.match(text).end() :].strip() if _CLAUSE.match(text) else text.strip()  # type: ignore[union-attr]


def verdict_of(regions: Sequence[Region], strict: bool, traces: bool) -> Verdict:
    """The verdict on an answer.

    Args:
        regions: What was found.
        strict: Whether all of it keeps to the rules.
        traces: Whether there is anything that looks like a region at all.
    """
    if regions:
        return "valid" if strict else "repaired"
    return "invalid" if traces else "none"
