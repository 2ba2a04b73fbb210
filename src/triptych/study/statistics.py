"""Intervals over seeds and pictures together.

All runs of a study are asked about the same pictures, so seeds and pictures are crossed: a hard picture is hard for every
seed. Each resample draws

- pictures, as many as there are, with replacement, the same draw for all seeds (and both sides of a difference);
- seeds, one fewer than there are, with replacement: of few seeds the plain bootstrap, which draws as many as there are,
  makes the variance between them too small by (S - 1) / S; drawing S - 1 makes it right.

The score of a resample is the mean over the drawn seeds of each seed's score on the drawn pictures. With a single seed,
only pictures are drawn.

References: A. Owen, "The pigeonhole bootstrap", Annals of Applied Statistics 1 (2007), for drawing the two crossed
factors independently; J. Rao, C. Wu, "Resampling inference with complex survey data", JASA 83 (1988), for S - 1.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from triptych.errors import EvaluationError
from triptych.evaluate.results import Interval
from triptych.evaluate.scoring.bootstrap import CONFIDENCE, Tally

RESAMPLES = 4000
_BLOCK = 4_000_000
"""Most picture draws held in memory at once (resamples × pictures)."""

Array = NDArray[np.float64]


def interval_over_seeds(
    tallies: Sequence[Tally], metric: str, *, resamples: int = RESAMPLES, seed: int = 0
) -> Interval:
    """The mean of a score over seeds, with its 95 % interval over seeds and pictures.

    Args:
        tallies: One per seed, of the same pictures in the same order.
        metric: The score's name.
        resamples: How many.
        seed: Of the draws.

    Raises:
        EvaluationError: The tallies are not about the same pictures.
    """
    _same_pictures(tallies)
    return _interval(
        per_seed(tallies, metric),
        np.concatenate([_means(tallies, metric, *drawn) for drawn in _draws(tallies, resamples, seed)]),
        tallies[0].counts[metric],
    )


def difference_over_seeds(
    ours: Sequence[Tally], theirs: Sequence[Tally], metric: str, *, resamples: int = RESAMPLES, seed: int = 0
) -> Interval:
    """The mean of `ours` minus `theirs` with its 95 % interval, paired by seed and by picture.

    Args:
        ours: One tally per seed.
        theirs: The same seeds in the same order, the same pictures.
        metric: The score's name.
        resamples: How many.
        seed: Of the draws.

    Raises:
        EvaluationError: There are not the same seeds or pictures on both sides.
    """
    if len(ours) != len(theirs):
        raise EvaluationError(f"a paired difference needs the same seeds on both sides, got {len(ours)}, {len(theirs)}")
    _same_pictures([*ours, *theirs])
    drawn = [_means(ours, metric, *draw) - _means(theirs, metric, *draw) for draw in _draws(ours, resamples, seed)]
    differences = [a - b for a, b in zip(per_seed(ours, metric), per_seed(theirs, metric), strict=True)]
    return _interval(differences, np.concatenate(drawn), ours[0].counts[metric])


def per_seed(tallies: Sequence[Tally], metric: str) -> list[float]:
    """The score of each seed on all pictures."""
    return [float(tally.score(tally.sums.sum(axis=0))[metric]) for tally in tallies]


def _draws(tallies: Sequence[Tally], resamples: int, seed: int) -> Iterator[tuple[Array, Array]]:
    """Blocks of resamples: the share of each seed `[r, S]`, how often each picture `[r, C]`."""
    generator = np.random.default_rng(seed)
    seeds, pictures = len(tallies), len(tallies[0].pictures)
    chosen = max(1, seeds - 1)
    shares = generator.multinomial(chosen, np.full(seeds, 1 / seeds), size=resamples) / chosen
    block = max(1, _BLOCK // max(1, pictures))
    for start in range(0, resamples, block):
        part = shares[start : start + block]
        yield part, generator.multinomial(pictures, np.full(pictures, 1 / pictures), size=len(part)).astype(np.float64)


def _means(tallies: Sequence[Tally], metric: str, shares: Array, pictures: Array) -> Array:
    """The score of each resample `[r]`."""
    scores = np.stack([tally.score(pictures @ tally.sums)[metric] for tally in tallies], axis=1)
    mean: Array = np.where(shares > 0, shares * scores, 0.0).sum(axis=1)
    return mean


def _interval(seeds: Sequence[float], drawn: Array, count: int) -> Interval:
    tail = 100 * (1 - CONFIDENCE) / 2
    low, high = np.nanpercentile(drawn, [tail, 100 - tail])
    return Interval(value=float(np.mean(seeds)), low=float(low), high=float(high), n=count)


def _same_pictures(tallies: Sequence[Tally]) -> None:
    if not tallies:
        raise EvaluationError("there is no finished run to take an interval over")
    if any(list(tally.pictures) != list(tallies[0].pictures) for tally in tallies[1:]):
        raise EvaluationError("the runs were not asked about the same pictures, so they cannot be put together")
