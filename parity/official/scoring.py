"""What is scored: predictions one by one, or block by block where a score is one of many questions."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

Case = tuple[str, list[str]]
"""A prediction, and the truths or options beside it."""

Score = Callable[[list[Case]], list[Any]]
"""From cases to numbers: one per case, or a few per block of cases."""

BLOCK = 100
"""Scores over many questions are taken of so many at a time."""


def each(one: Callable[[str, list[str]], Any]) -> Score:
    """A score of every case by itself."""
    return lambda cases: [one(answer, truths) for answer, truths in cases]


def per_block(some: Callable[[list[Case]], Iterable[Any]], size: int = BLOCK) -> Score:
    """Scores of the first `size` cases, of the next, and so on, in one list."""
    return lambda cases: [
        number for start in range(0, len(cases), size) for number in some(cases[start : start + size])
    ]
