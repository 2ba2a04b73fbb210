"""Relaxed accuracy: a number may be off by 5 %, other answers must be equal.

N. Methani et al., "PlotQA", WACV 2020; A. Masry et al., "ChartQA", ACL Findings 2022. The script in use reads "5%" as
0.05 on both sides, compares text in lower case as it stands, and so scores "12." or "1,200" as text and the truth "0"
as text, too, since it tests the truth's value for being non-zero. `relaxed_accuracy` reads such numbers as numbers.
"""

from __future__ import annotations

import math

TOLERANCE = 0.05


def relaxed_accuracy(answer: str, truth: str, tolerance: float = TOLERANCE) -> bool:
    """Whether an answer is right, numbers within `tolerance` of the truth's absolute value."""
    said, true = number(answer), number(truth)
    if said is not None and true is not None:
        return abs(said - true) <= tolerance * abs(true)
    return _form(answer) == _form(truth)


def relaxed_script(answer: str, truth: str, tolerance: float = TOLERANCE) -> bool:
    """Relaxed accuracy as the script in use computes it."""
    said, true = _script_number(answer), _script_number(truth)
    if said is not None and true:
        return abs(said - true) / abs(true) <= tolerance
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
