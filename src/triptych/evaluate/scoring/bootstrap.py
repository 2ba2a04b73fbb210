"""Percentile bootstrap over pictures.

Questions about one picture are not independent, so pictures are drawn with replacement, not questions. Every score here
is a function of sums over pictures (counts, summed n-gram matches, summed per-picture scores), so a resample is a
vector of how often each picture was drawn, and all resamples are one matrix product:

    sums [C, K]  --draws [R, C] @ sums-->  [R, K]  --score-->  {name: [R]}  --percentiles-->  intervals

Reference: B. Efron, R. Tibshirani, "An introduction to the bootstrap", 1993, chapter 13.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from triptych.evaluate.results import Interval

Score = Callable[[NDArray[np.float64]], dict[str, NDArray[np.float64]]]

RESAMPLES = 1000
CONFIDENCE = 0.95
_BLOCK = 4_000_000
"""Most draws held in memory at once (resamples × pictures)."""


@dataclass(frozen=True)
class Tally:
    """Everything a task's scores depend on.

    Args:
        pictures: What the rows are about; unique.
        sums: One row per picture, `[C, K]`.
        score: Scores by name, `[...]`, of summed rows `[..., K]`. NaN means that there was nothing to score.
        counts: How many questions each score is over.
    """

    pictures: Sequence[Hashable]
    sums: NDArray[np.float64]
    score: Score
    counts: Mapping[str, int]


def intervals(tally: Tally, *, resamples: int = RESAMPLES, seed: int = 0) -> dict[str, Interval]:
    """Every score with its 95 % percentile interval; scores over nothing are left out."""
    drawn = _resampled(tally.score, _draws(len(tally.pictures), resamples, seed), tally.sums)
    return _summarise(tally.score(tally.sums.sum(axis=0)), drawn, tally.counts)


def differences(ours: Tally, theirs: Tally, *, resamples: int = RESAMPLES, seed: int = 0) -> dict[str, Interval]:
    """Every shared score of `ours` minus `theirs` with its 95 % interval, paired: both see the same drawn pictures.

    Raises:
        ValueError: The tallies are not about the same pictures in the same order.
    """
    if list(ours.pictures) != list(theirs.pictures):
        raise ValueError("a paired difference needs the same pictures in the same order on both sides")
    seeded = [_draws(len(ours.pictures), resamples, seed) for _ in range(2)]
    a, b = (_resampled(t.score, draws, t.sums) for t, draws in zip((ours, theirs), seeded, strict=True))
    whole_a, whole_b = (t.score(t.sums.sum(axis=0)) for t in (ours, theirs))
    shared = [name for name in whole_a if name in whole_b]
    whole = {name: whole_a[name] - whole_b[name] for name in shared}
    counts = {name: min(ours.counts[name], theirs.counts[name]) for name in shared}
    return _summarise(whole, {name: a[name] - b[name] for name in shared}, counts)


def _draws(pictures: int, resamples: int, seed: int) -> Iterator[NDArray[np.float64]]:
    """How often each picture is in each resample, in blocks `[r, C]`; a function of the arguments alone."""
    generator = np.random.default_rng(seed)
    block = max(1, _BLOCK // max(1, pictures))
    for start in range(0, resamples, block):
        size = min(block, resamples - start)
        yield generator.multinomial(pictures, np.full(pictures, 1 / pictures), size=size).astype(np.float64)


def _resampled(
    score: Score, draws: Iterator[NDArray[np.float64]], sums: NDArray[np.float64]
) -> dict[str, NDArray[np.float64]]:
    blocks = [score(block @ sums) for block in draws]
    return {name: np.concatenate([block[name] for block in blocks]) for name in blocks[0]} if blocks else {}


def _summarise(
    whole: Mapping[str, NDArray[np.float64]], drawn: Mapping[str, NDArray[np.float64]], counts: Mapping[str, int]
) -> dict[str, Interval]:
    tail = 100 * (1 - CONFIDENCE) / 2
    found = {}
    for name, value in whole.items():
        if np.isnan(value):
            continue
        # A resample without a single question of a kind has no score of that kind.
        low, high = np.nanpercentile(drawn[name], [tail, 100 - tail])
        found[name] = Interval(value=float(value), low=float(low), high=float(high), n=counts[name])
    return found
