"""Boxes read out of answers, and how well they fit (referring expressions: accuracy at IoU 0.5).

S. Kazemzadeh et al., EMNLP 2014 (RefCOCO); L. Yu et al., ECCV 2016 (RefCOCO+, RefCOCOg).
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Literal

Box = tuple[float, float, float, float]
"""Left, top, right, bottom."""

Unit = Literal["fraction", "thousandth", "pixel"]
"""What a coordinate is in: of the picture's side, from 0 to 1 or 0 to 1000, or pixels."""

_NUMBER = r"(-?\d+(?:\.\d+)?)"
_BOX = re.compile(rf"[\[(<]\s*{_NUMBER}\s*,\s*{_NUMBER}\s*,\s*{_NUMBER}\s*,\s*{_NUMBER}\s*[\])>]")
_SCRIPT = re.compile(rf"\[\s*{_NUMBER},\s*{_NUMBER},\s*{_NUMBER},\s*{_NUMBER}\s*\]")


def parse_box(text: str) -> Box | None:
    """The one box of a text, in brackets; unparsed if there is none, another one, or its corners are swapped."""
    found = {tuple(map(float, match.groups())) for match in _BOX.finditer(text)}
    if len(found) != 1:
        return None
    left, top, right, bottom = next(iter(found))
    return (left, top, right, bottom) if left <= right and top <= bottom else None


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
