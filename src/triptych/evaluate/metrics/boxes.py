"""Boxes read out of answers, and how well they fit (referring expressions: accuracy at IoU 0.5)."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import ClassVar, Literal

from triptych.evaluate.benchmarks.items import Item
from triptych.evaluate.parsers.thinking import spoken
from triptych.evaluate.parsers.unread import CONTRADICTS, THINKS_TO_THE_END, Unread
from triptych.evaluate.scoring.metric import AnswerMetric
from triptych.evaluate.scoring.rule import OURS, Rule, rule_of
from triptych.evaluate.scoring.tallies import means
from triptych.evaluate.tasks.question import Record

Box = tuple[float, float, float, float]
"""Left, top, right, bottom."""

Unit = Literal["fraction", "thousandth", "pixel"]
"""What a coordinate is in: of the picture's side, from 0 to 1 or 0 to 1000, or pixels."""

EDGE = 0.01
"""How far a true box may lie outside of the picture, in shares of its side."""

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


class Boxes(AnswerMetric):
    """IoU of the answered box and the true one: accuracy at several thresholds, and the mean."""

    name = "boxes"
    source = "S. Kazemzadeh et al., EMNLP 2014 (RefCOCO); L. Yu et al., ECCV 2016 (RefCOCO+, RefCOCOg)"
    official: ClassVar[Mapping[str, str]] = {"lmms_eval": "lmms-eval's RefCOCO"}

    def make_rules(self) -> dict[str, Rule]:
        """Ours, and one that takes the first box in square brackets as shares of the sides."""
        unit = self.scoring.box_unit

        def ours(record: Record) -> Box | Unread:
            box = read_box(record.answer)
            return box if isinstance(box, Unread) else in_unit(box, unit, *_size(record))

        return {OURS: _rule(ours, unit), "lmms_eval": _rule(lambda record: script_box(record.answer), "fraction")}

    def constants(self, records: Sequence[Record]) -> Iterator[str]:  # noqa: ARG002 - the same for all
        """The whole picture, and its middle."""
        side = {"fraction": 1.0, "thousandth": 1000.0, "pixel": 400.0}[self.scoring.box_unit]
        yield f"[0, 0, {side:g}, {side:g}]"
        yield f"[{side / 4:g}, {side / 4:g}, {side * 3 / 4:g}, {side * 3 / 4:g}]"

    def check_truth(self, item: Item) -> str | None:
        """It must be a box in the picture."""
        try:
            left, top, right, bottom = _true_box(item.truth)
            width, height = (float(item.facts[name]) for name in ("width", "height"))
        except (ValueError, KeyError, TypeError):
            return "the true box is not four numbers, or the picture's width and height are none"
        if not all(map(math.isfinite, (left, top, right, bottom, width, height))) or width <= 0 or height <= 0:
            return "the true box or the picture's size is no finite number above nothing"
        if left >= right or top >= bottom:
            return "the true box has swapped corners, or no area"
        over = max(-left / width, -top / height, right / width - 1, bottom / height - 1)
        return None if over <= EDGE else "the true box lies outside of the picture"


def _rule(read: Callable[[Record], Box | Unread], unit: Unit) -> Rule:
    def overlap(record: Record, parsed: str | None) -> float:
        if parsed is None:
            return 0.0
        truth = fraction_box(_true_box(record.truth), "pixel", *_size(record))
        return iou(fraction_box(_true_box(parsed), unit, *_size(record)), truth)

    def parse(record: Record) -> str | Unread:
        box = read(record)
        return box if isinstance(box, Unread) else ", ".join(repr(x) for x in box)

    row, score = means({
        "accuracy": lambda r: float(r.correct) >= 0.5,
        "iou": lambda r: float(r.correct),
        "accuracy_30": lambda r: float(r.correct) >= 0.3,
        "accuracy_70": lambda r: float(r.correct) >= 0.7,
        "accuracy_90": lambda r: float(r.correct) >= 0.9,
    })  # fmt: skip
    return rule_of(parse, overlap, row, score)


def _size(record: Record) -> tuple[float, float]:
    return float(record.facts["width"]), float(record.facts["height"])


def _true_box(text: object) -> Box:
    left, top, right, bottom = (float(part) for part in str(text).strip("[]() ").split(","))
    return left, top, right, bottom


def parse_box(text: str) -> Box | None:
    """The one box of a text; see `read_box`."""
    read = read_box(text)
    return None if isinstance(read, Unread) else read


def read_box(text: str) -> Box | Unread:
    """The one box of a text: four numbers in brackets, or alone, or two corners in brackets each; or why there is none.

    What a model thinks is no part of it. Several boxes are one if they are the same.
    """
    reply = spoken(text)
    if reply is None:
        return THINKS_TO_THE_END
    matches = [*_BOX.finditer(reply), *_POINTS.finditer(reply)]
    if not matches and (bare := _BARE.fullmatch(reply)) is not None:
        matches = [bare]
    boxes = {tuple(map(float, match.groups())) for match in matches}
    if len(boxes) != 1:
        return CONTRADICTS if boxes else NO_BOX
    left, top, right, bottom = next(iter(boxes))
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
