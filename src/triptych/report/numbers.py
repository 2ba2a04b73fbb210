"""Numbers and names written for people."""

from __future__ import annotations

import math
from typing import Any

from triptych.duration import duration as duration


def count(value: float) -> str:
    """A count with thousands separated, or shortened from a million on: `9,412`, `134.5 M`, `6.74 B`."""
    for limit, unit in ((1e12, "T"), (1e9, "B"), (1e6, "M")):
        if abs(value) >= limit:
            return f"{significant(value / limit, 4 if abs(value) >= 100 * limit else 3)} {unit}"
    return f"{value:,.0f}"


def significant(value: float, digits: int = 3) -> str:
    """A number to so many significant digits, without an exponent."""
    if not math.isfinite(value):
        return "–"
    if value == 0:
        return "0"
    decimals = max(0, digits - 1 - math.floor(math.log10(abs(value))))
    return f"{value:,.{decimals}f}"


def gibibytes(size: float) -> str:
    """Bytes as `2.31 GiB`, `740 MiB` or `12 KiB`."""
    if size >= 2**30:
        return f"{significant(size / 2**30)} GiB"
    if size >= 2**20:
        return f"{significant(size / 2**20)} MiB"
    return f"{size / 2**10:,.0f} KiB"


def words(name: str) -> str:
    """A name from a file as words: `yes_ratio` → `yes ratio`, `existence.f1` → `existence · f1`."""
    return name.replace("_", " ").replace(".", " · ").replace("/", " · ")


SCORES = {
    "cider_d": "CIDEr-D",
    "bleu_4": "BLEU-4",
    "rouge_l": "ROUGE-L",
    "f1": "F1",
    "acc_50": "Acc@0.5",
    "ap_50": "AP@0.5",
    "mean_iou": "mean IoU",
    "miou": "mIoU",
    "ciou": "cIoU",
    "giou": "gIoU",
}
"""Scores whose names are spelled in their own way."""


def score_name(name: str) -> str:
    """The name of a score as people write it: `existence_f1` → `existence F1`, `cider_d` → `CIDEr-D`."""
    for suffix, written in SCORES.items():
        if name == suffix or name.endswith(f"_{suffix}"):
            return f"{words(name.removesuffix(suffix))}{written}"
    return words(name)


def number(value: Any) -> float | None:
    """The value as a finite number, or None: what is read from a file may be anything."""
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        return None
    return float(value)
