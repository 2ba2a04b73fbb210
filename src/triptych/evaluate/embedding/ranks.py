"""Ranks of what belongs together among what does not."""

from __future__ import annotations

from math import comb

import numpy as np
from numpy.typing import NDArray


def ranks(scores: NDArray[np.floating], relevant: NDArray[np.bool_]) -> NDArray[np.int64]:
    """The rank of each query's best right candidate, from 1: one more than the wrong candidates that score as high.

    Args:
        scores: `[Q, C]` of each query with each candidate.
        relevant: `[Q, C]`, whether a candidate is right. A tie counts against the query.

    Returns:
        `[Q]`; C + 1 where nothing is right.
    """
    best = np.where(relevant, scores, -np.inf).max(axis=1, keepdims=True)
    found: NDArray[np.int64] = 1 + ((scores >= best) & ~relevant).sum(axis=1)
    return np.where(relevant.any(axis=1), found, scores.shape[1] + 1)


def chance_at(k: int, candidates: int, right: int) -> float:
    """How often one of `right` right candidates is among the first k of a shuffled list."""
    if candidates - right < k:
        return 1.0 if right else 0.0
    return 1 - comb(candidates - right, k) / comb(candidates, k)
