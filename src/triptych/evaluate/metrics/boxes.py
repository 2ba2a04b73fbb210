"""Boxes read out of answers, and how well they fit (referring expressions: accuracy at IoU 0.5).

S. Kazemzadeh et al., EMNLP 2014 (RefCOCO); L. Yu et al., ECCV 2016 (RefCOCO+, RefCOCOg).
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Literal

from triptych.evaluate.parsers.thinking import spoken
from triptych.evaluate.parsers.unread import CONTRADICTS, THINKS_TO_THE_END, Unread

Box = tuple[float, float, float, float]
"""Left, top, right, bottom."""

Unit = Literal["fraction", "thousandth", "pixel"]
"""What a coordinate is in: of the picture's side, from 0 to 1 or 0 to 1000, or pixels."""

BEYOND = 1e-3
"""How far beyond the picture's edge a box may lie, in shares of its side: a step of three decimals."""

_NUMBER = r"(-?\d{1,15}(?:\.\d{1,15})?)"
_COMMA = r"\s*,\s*"
_FOUR = _COMMA.join([_NUMBER] * 4)
_BOX = re.compile(rf"[\[(<{{]\s*{_FOUR}\s*[\])>}}]")
_POINTS = re.compile(rf"\(\s*{_NUMBER}{_COMMA}{_NUMBER}\s*\)\s*,?\s*\(\s*{_NUMBER}{_COMMA}{_NUMBER}\s*\)")
"""Qwen's: two corners, a pair of brackets each."""

_BARE = re.compile(rf"\s*{_FOUR}\s*\.?\s*")
_SCRIPT_NUMBER = r"(-?\d+(?:\.\d+)?)"
_SCRIPT = re.compile(rf"\[\s*{_SCRIPT_NUMBER},\s*{_SCRIPT_NUMBER},\s*{_SCRIPT_NUMBER},\s*{_SCRIPT_NUMBER}\s*\]")

NO_BOX = Unread("no box of four numbers")
SWAPPED = Unread("the corners of the box are swapped")
NOT_SHARES = Unread("thousandths or pixels where shares are declared")
NOT_THOUSANDTHS = Unread("pixels where thousandths are declared")
OUTSIDE = Unread("the box lies outside of the picture")
SHARES = Unread("shares where thousandths or pixels are declared")


def parse_box(text: str) -> Box | None:
    """The one box of a text; see `read_box`."""
    read = read_box(text)
    return None if isinstance(read, Unread) else read


def read_box(text: str) -> Box | Unread:
    """The one box of a text: four numbers in brackets, or alone, or two corners in brackets each; or why there is none.

    What a model thinks is no part of it. Several boxes are one if they are the same.
    """
    said = spoken(text)
    if said is None:
        return THINKS_TO_THE_END
    matches = [*_BOX.finditer(said), *_POINTS.finditer(said)]
    if not matches and (bare := _BARE.fullmatch(said)) is not None:
        matches = [bare]
    found = {tuple(map(float, match.groups())) for match in matches}
    if len(found) != 1:
        return CONTRADICTS if found else NO_BOX
    left, top, right, bottom = next(iter(found))
    return (left, top, right, bottom) if left <= right and top <= bottom else SWAPPED


def in_unit(box: Box, unit: Unit, width: float, height: float) -> Box | Unread:
    """A box that may be in the declared unit; of one that cannot, why.

    Args:
        box: As written.
        unit: What the task asks for.
        width: Of the picture, in pixels.
        height: Likewise.
    """
    sides = fraction_box((1.0, 1.0, 1.0, 1.0), unit, width, height)
    whole = 1 / sides[0], 1 / sides[1]
    beyond = [number > side * (1 + BEYOND) for number, side in zip(box, (*whole, *whole), strict=True)]
    if any(beyond):
        return {"fraction": NOT_SHARES, "thousandth": NOT_THOUSANDTHS, "pixel": OUTSIDE}[unit]
    if any(number < -side * BEYOND for number, side in zip(box, (*whole, *whole), strict=True)):
        return OUTSIDE
    if unit != "fraction" and max(box) <= 1 and any(number % 1 for number in box):
        return SHARES
    return box


def script_box(text: str) -> Box:
    """The first box in square brackets, as lmms-eval reads it; all zeros if there is none."""
    match = _SCRIPT.search(text)
    if match is None:
        return (0.0, 0.0, 0.0, 0.0)
    left, top, right, bottom = map(float, match.groups())
    return left, top, right, bottom


def fraction_box(box: Box, unit: Unit, width: float, height: float) -> Box:
    """A box in fractions of the picture's sides."""
    x, y = {"fraction": (1.0, 1.0), "thousandth": (1000.0, 1000.0), "pixel": (width, height)}[unit]
    return box[0] / x, box[1] / y, box[2] / x, box[3] / y


def iou(a: Sequence[float], b: Sequence[float]) -> float:
    """Intersection over union, in [0, 1]."""
    width, height = min(a[2], b[2]) - max(a[0], b[0]), min(a[3], b[3]) - max(a[1], b[1])
    shared = max(0.0, width) * max(0.0, height)
    union = (a[2] - a[0]) * (a[3] - a[1]) + (b[2] - b[0]) * (b[3] - b[1]) - shared
    return shared / union if union > 0 else 0.0
