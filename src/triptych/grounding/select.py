"""Which of the boxes that a detector found is meant: what a call says beside the thing's name.

    "the second dog from the left"  ──►  caption "dog", select "second from the left"
    "the cup above the dog"         ──►  caption "cup", select "above the dog"  (the detector looks for the dog, too)
    "all dogs"                      ──►  caption "dog", select "all"

A detector knows names, not order or relations; these are geometry, and computed from boxes exactly. Rows and columns are
thirds of the picture, as people (and the embedded data) mean "at the top left": in one column nothing is left of anything.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, TypeAlias

from triptych.conversation import Region
from triptych.grounding.detectors.detector import Detection

Axis: TypeAlias = Literal[0, 1]

SIDES: Mapping[str, tuple[Axis, int]] = {"left": (0, 1), "right": (0, -1), "top": (1, 1), "bottom": (1, -1)}
"""Where one counts from: along which axis, in which direction."""

EXTREMES = {
    "leftmost": "left",
    "rightmost": "right",
    "topmost": "top",
    "highest": "top",
    "bottommost": "bottom",
    "lowest": "bottom",
}
"""Words for the first thing from a side."""

ORDINALS = ("first", "second", "third", "fourth", "fifth", "sixth", "seventh", "eighth", "ninth")
NUMBERS = ("one", "two", "three", "four", "five", "six", "seven", "eight", "nine")

RELATIONS: Mapping[str, tuple[Axis, int]] = {
    "to the left of": (0, -1),
    "left of": (0, -1),
    "to the right of": (0, 1),
    "right of": (0, 1),
    "above": (1, -1),
    "below": (1, 1),
}
"""Along which axis and in which direction a thing lies from the other."""

ROWS = {"top": 0, "middle": 1, "bottom": 2}
COLUMNS = {"left": 0, "middle": 1, "right": 2}

_WORDS = "|".join
_FORM = re.compile(
    rf"(?P<several>all|{_WORDS(NUMBERS)})?\s*"
    rf"(?:(?P<best>best)|(?P<extreme>{_WORDS(EXTREMES)})"
    rf"|(?P<ordinal>{_WORDS(ORDINALS)}) from the (?P<side>{_WORDS(SIDES)})"
    rf"|(?P<relation>{_WORDS(RELATIONS)}) (?:the |an? )?(?P<other>[^.;]+?)"
    rf"|(?:at|in|on) the (?P<place>cent(?:er|re)|(?:top|bottom)(?: (?:left|right))?|left|right))?",
    re.IGNORECASE,
)


@dataclass(frozen=True)
class Selector:
    """A rule that chooses among boxes of one name.

    Args:
        several: Whether all that fit are meant, instead of the best one.
        count: How many, where that was said; the best of them are taken.
        extreme: The first from this side.
        ordinal: Which one, counted from zero, from `side`.
        side: See `ordinal`.
        relation: How it lies from `other`.
        other: Name of the thing that a relation is about.
        place: One of the nine thirds, in words.
    """

    several: bool = False
    count: int | None = None
    extreme: str = ""
    ordinal: int | None = None
    side: str = ""
    relation: str = ""
    other: str = ""
    place: str = ""

    def choose(self, found: Sequence[Detection], others: Sequence[Detection] = ()) -> list[Detection]:
        """The boxes that are meant, in reading order where there are several.

        Args:
            found: Boxes of the name, the best first.
            others: Boxes of `other`, the best first.
        """
        kept = list(found)
        if self.extreme or self.ordinal is not None:
            axis, sign = SIDES[self.extreme or self.side]
            line = sorted(kept, key=lambda one: sign * one.region.centre[axis])
            number = self.ordinal or 0
            return line[number : number + 1]
        if self.relation:
            if not others:
                return []
            axis, sign = RELATIONS[self.relation]
            where = third(others[0].region, axis)
            kept = [one for one in kept if sign * (third(one.region, axis) - where) > 0]
        if self.place:
            row, column = place_of(self.place)
            kept = [one for one in kept if (third(one.region, 1), third(one.region, 0)) == (row, column)]
        if not self.several:
            return kept[:1]
        return sorted(kept[: self.count], key=lambda one: (third(one.region, 1), one.region.centre[0]))


def read_selector(text: str) -> Selector | None:
    """The rule that a call writes; None where it is none of those known. Nothing at all means everything."""
    match = _FORM.fullmatch(" ".join(text.split()).strip(" ."))
    if match is None:
        return None
    said = {
        name: found if name == "other" or found is None else found.lower() for name, found in match.groupdict().items()
    }
    several = said["several"]
    rules = [said[name] for name in ("best", "extreme", "ordinal", "relation", "place")]
    return Selector(
        several=several is not None or not any(rules),
        count=NUMBERS.index(several) + 1 if several in NUMBERS else None,
        extreme=EXTREMES.get(said["extreme"] or "", ""),
        ordinal=ORDINALS.index(said["ordinal"]) if said["ordinal"] else None,
        side=said["side"] or "",
        relation=said["relation"] or "",
        other=(said["other"] or "").strip(),
        place=said["place"] or "",
    )


def third(region: Region, axis: Axis) -> int:
    """Which third of the picture the middle of a box lies in: 0, 1 or 2 from the left or from the top."""
    extent = (region.frame.width, region.frame.height)[axis]
    return min(2, max(0, int(3 * region.centre[axis] / extent)))


def place_of(words: str) -> tuple[int, int]:
    """Row and column of "top left", "left", "center", …: a word alone is the middle of its side."""
    parts = words.split()
    row = next((ROWS[word] for word in parts if word in ("top", "bottom")), 1)
    column = next((COLUMNS[word] for word in parts if word in ("left", "right")), 1)
    return row, column
