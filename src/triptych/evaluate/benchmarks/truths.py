"""Whether the truth of a question is one that its metric can score: what it cannot would be scored as a wrong one, or end the task."""

from __future__ import annotations

import math
from collections.abc import Callable

from triptych.evaluate.benchmarks.config import TaskFile
from triptych.evaluate.benchmarks.items import Item
from triptych.evaluate.parsers import parse_count
from triptych.evaluate.parsers.quantities import numbers_in

OUTSIDE = 0.01
"""How far a true box may lie outside of the picture, in shares of its side."""

FACTS = {"hallusion": ("group", "question", "figure", "shown"), "safety": ("harmful",)}
"""Metric → what a question must say of itself for it."""

AMBER_FACTS = ("likely", "things", "harmless")
"""The same for descriptions by AMBER."""

OPTIONS = frozenset(("choice", "circular"))
"""Metrics of questions with options."""


def unscorable(task: TaskFile, item: Item) -> str | None:
    """Why an item's truth cannot be scored by the task's metric; `None` if it can."""
    described = task.metric == "amber" and getattr(task.source, "part", "") != "discriminative"
    needed = AMBER_FACTS if described else FACTS.get(task.metric, ())
    if missing := [name for name in needed if name not in item.facts]:
        return f"has no {', '.join(missing)}, which `metric: {task.metric}` needs"
    if task.metric in OPTIONS and not item.options:
        return f"has no options, which `metric: {task.metric}` needs"
    check = None if described else _CHECKS.get(task.metric)
    return check(item) if check is not None else None


def _yes_no(item: Item) -> str | None:
    said = str(item.truth).strip().lower()
    return None if said in ("yes", "no") else f"the true answer is neither yes nor no: {said[:80]!r}"


def _zero_one(item: Item) -> str | None:
    said = str(item.truth).strip().lower()
    return None if said in ("0", "1", "yes", "no") else f"the true answer is neither yes nor no: {said[:80]!r}"


def _some(item: Item) -> str | None:
    truths = item.truth if isinstance(item.truth, list) else [item.truth]
    return None if any(truth.strip() for truth in truths) else "has no true answer"


def _count(item: Item) -> str | None:
    return (
        None if parse_count(str(item.truth)) is not None else f"the true answer is no count: {str(item.truth)[:80]!r}"
    )


def _math(item: Item) -> str | None:
    if item.options:
        return None
    precision = str(item.facts.get("precision") or "0").strip()
    if not precision.replace(".0", "").isdigit():
        return f"the precision is no number of decimals: {precision[:80]!r}"
    return None if numbers_in(str(item.truth)) else f"the true answer is no number: {str(item.truth)[:80]!r}"


def _box(item: Item) -> str | None:
    try:
        left, top, right, bottom = (float(part) for part in str(item.truth).strip("[]() ").split(","))
        width, height = (float(item.facts[name]) for name in ("width", "height"))
    except (ValueError, KeyError, TypeError):
        return "the true box is not four numbers, or the picture's width and height are none"
    if not all(map(math.isfinite, (left, top, right, bottom, width, height))) or width <= 0 or height <= 0:
        return "the true box or the picture's size is no finite number above nothing"
    if left >= right or top >= bottom:
        return "the true box has swapped corners, or no area"
    over = max(-left / width, -top / height, right / width - 1, bottom / height - 1)
    return None if over <= OUTSIDE else "the true box lies outside of the picture"


_CHECKS: dict[str, Callable[[Item], str | None]] = {
    "yes_no": _yes_no, "mme": _yes_no, "amber": _yes_no, "hallusion": _zero_one, "vqa": _some, "anls": _some, "relaxed": _some,
    "exact": _some, "caption": _some, "contains": _some, "mixed": _some, "count": _count, "math": _math, "boxes": _box,
}  # fmt: skip
