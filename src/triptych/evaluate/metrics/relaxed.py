"""Relaxed accuracy: a number may be off by 5 %, other answers must be equal.

The script in use reads "5%" as
0.05 on both sides, compares text in lower case as it stands, and so scores "12." or "1,200" as text and the truth "0"
as text, too, since it tests the truth's value for being non-zero. `relaxed_accuracy` reads such numbers as numbers.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import ClassVar

from triptych.evaluate.parsers.conclusion import final_text
from triptych.evaluate.scoring.metric import AnswerMetric
from triptych.evaluate.scoring.rule import OURS, Rule, as_concluded, as_written, share_rule, truths_of
from triptych.evaluate.scoring.truths import none_given
from triptych.evaluate.tasks.question import Record

TOLERANCE = 0.05


class Relaxed(AnswerMetric):
    """Relaxed accuracy; see the module."""

    name = "relaxed"
    source = 'N. Methani et al., "PlotQA", WACV 2020; A. Masry et al., "ChartQA", ACL Findings 2022'
    official: ClassVar[Mapping[str, str]] = {"script": "google-research/pix2struct, as lmms-eval uses it"}

    def make_rules(self) -> dict[str, Rule]:
        """Ours, and one that takes the answer as it stands."""

        def best(score: Callable[[str, str], bool], text: Callable[[str], str]) -> Callable[[Record, str | None], bool]:
            return lambda record, _: max(score(text(record.answer), truth) for truth in truths_of(record))

        return {
            OURS: share_rule(as_concluded, best(relaxed_accuracy, final_text)),
            "script": share_rule(as_written, best(relaxed_script, str)),
        }

    check_truth = staticmethod(none_given)


def relaxed_accuracy(answer: str, truth: str, tolerance: float = TOLERANCE) -> bool:
    """Whether an answer is right, numbers within `tolerance` of the truth's absolute value."""
    value, true = number(answer), number(truth)
    if value is not None and true is not None:
        return abs(value - true) <= tolerance * abs(true)
    return _form(answer) == _form(truth)


def relaxed_script(answer: str, truth: str, tolerance: float = TOLERANCE) -> bool:
    """Relaxed accuracy as the script in use computes it."""
    value, true = _script_number(answer), _script_number(truth)
    if value is not None and true:
        return abs(value - true) / abs(true) <= tolerance
    return answer.lower() == truth.lower()


def number(text: str) -> float | None:
    """The finite number that a text is, without thousands separators, currency sign or full stop; 5 % is 0.05."""
    bare = text.strip().removesuffix(".").strip()
    percent = bare.endswith("%")
    bare = bare.removesuffix("%").strip().lstrip("$€£¥").replace(",", "")
    try:
        value = float(bare)
    except ValueError:
        return None
    if not math.isfinite(value) or "_" in bare:
        return None
    return value / 100 if percent else value


def _script_number(text: str) -> float | None:
    try:
        return float(text.rstrip("%")) / 100 if text.endswith("%") else float(text)
    except ValueError:
        return None


def _form(text: str) -> str:
    return " ".join(text.lower().split()).removesuffix(".").strip()
