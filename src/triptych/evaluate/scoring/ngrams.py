"""Counting n-grams of words."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

ORDER = 4
"""Caption scores look at 1- to 4-grams."""

NGram = tuple[str, ...]


def count_ngrams(words: Sequence[str], order: int = ORDER) -> Counter[NGram]:
    """How often each 1- to `order`-gram occurs in `words`."""
    return Counter(
        tuple(words[start : start + length])
        for length in range(1, order + 1)
        for start in range(len(words) - length + 1)
    )
