"""An independent reading of referring expressions: from the English words and the boxes to the boxes that are meant.

Shares nothing with the code that writes them. What stands where is read off the boxes' centres on a grid of three by three.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

Box = tuple[int, int, int, int]
Item = tuple[str, Box]

CELLS = {
    "top left": (0, 0), "top": (1, 0), "top right": (2, 0), "left": (0, 1), "center": (1, 1), "right": (2, 1),
    "bottom left": (0, 2), "bottom": (1, 2), "bottom right": (2, 2),
}  # fmt: skip
NUMBERS = {"two": 2, "three": 3, "four": 4, "five": 5, "six": 6, "seven": 7, "eight": 8, "nine": 9}
ORDINALS = {"first": 0, "second": 1, "third": 2}
SUPERLATIVES = {"leftmost": "left", "rightmost": "right", "topmost": "top", "lowest": "bottom"}


class AmbiguousError(Exception):
    """The words do not say which."""


class ExpressionReader:
    """Finds what an expression means, given the plural of each name and the side of the picture."""

    def __init__(self, plurals: Mapping[str, str], size: int) -> None:
        self.singular = {plural: name for name, plural in plurals.items()} | {"things": "thing"}
        self.names = [*plurals, "thing"]
        self.size = size

    def find(self, items: Sequence[Item], text: str) -> set[Box]:
        """The boxes that are meant; none where nothing fits."""
        if match := re.fullmatch(r"the (first|second|third) (.+) from the (left|right|top|bottom)", text):
            order = self._along(items, match[2], match[3])
            place = ORDINALS[match[1]]
            return {order[place]} if place < len(order) else set()
        if match := re.fullmatch(r"the (leftmost|rightmost|topmost|lowest) (.+)", text):
            return self._first(items, match[2], SUPERLATIVES[match[1]])
        if match := re.fullmatch(r"all (.+?)( to the left of| to the right of| above| below) the (.+)", text):
            return self._related(items, self.singular[match[1]], match[2].strip(), match[3])
        if match := re.fullmatch(r"the (.+?)( to the left of| to the right of| above| below) the (.+)", text):
            return self._only(self._related(items, match[1], match[2].strip(), match[3]))
        if match := re.fullmatch(r"all (.+)", text):
            return set(self._called(items, self.singular[match[1]]))
        if (match := re.fullmatch(r"the (\w+) (.+)", text)) and match[1] in NUMBERS and match[2] in self.singular:
            found = set(self._called(items, self.singular[match[2]]))
            if len(found) != NUMBERS[match[1]]:
                raise AmbiguousError(text)
            return found
        if match := re.fullmatch(r"the (.+?) (?:at|on|in) the (.+)", text):
            return self._only({box for box in self._called(items, match[1]) if self._cell(box) == CELLS[match[2]]})
        match = re.fullmatch(r"the (.+)", text)
        assert match is not None and match[1] in self.names, text
        return self._only(set(self._called(items, match[1])))

    def _called(self, items: Sequence[Item], name: str) -> list[Box]:
        assert name in self.names, name
        return [box for called, box in items if name in ("thing", called)]

    def _cell(self, box: Box) -> tuple[int, int]:
        return int((box[0] + box[2]) / 2 * 3 / self.size), int((box[1] + box[3]) / 2 * 3 / self.size)

    def _only(self, found: set[Box]) -> set[Box]:
        if len(found) > 1:
            raise AmbiguousError(found)
        return found

    def _related(self, items: Sequence[Item], name: str, relation: str, other: str) -> set[Box]:
        (anchor,) = (self._cell(box) for box in self._called(items, other))  # exactly one
        holds = {
            "to the left of": lambda cell: cell[0] < anchor[0],
            "to the right of": lambda cell: cell[0] > anchor[0],
            "above": lambda cell: cell[1] < anchor[1],
            "below": lambda cell: cell[1] > anchor[1],
        }[relation]
        return {box for box in self._called(items, name) if holds(self._cell(box))}

    def _first(self, items: Sequence[Item], name: str, side: str) -> set[Box]:
        """The nearest to a side, which must be the only one in its column or row."""
        axis = 0 if side in ("left", "right") else 1
        pick = min if side in ("left", "top") else max
        boxes = self._called(items, name)
        nearest = pick(self._cell(box)[axis] for box in boxes)
        return self._only({box for box in boxes if self._cell(box)[axis] == nearest})

    def _along(self, items: Sequence[Item], name: str, side: str) -> list[Box]:
        axis = 0 if side in ("left", "right") else 1
        boxes = sorted(self._called(items, name), key=lambda box: self._cell(box)[axis])
        cells = [self._cell(box)[axis] for box in boxes]
        if len(set(cells)) < len(cells) and len(boxes) > 2:
            raise AmbiguousError(name)
        return boxes if side in ("left", "top") else boxes[::-1]
