"""Generated pictures: the Fréchet distance of their features to those of real ones (FID), and the CLIP score of each with its text.

    FID = |μ₁ - μ₂|² + tr(Σ₁ + Σ₂ - 2 (Σ₁ Σ₂)^½)

A distance means nothing without the
extractor that made the features: published figures are of Inception-v3's pool3 (2,048 numbers) at 299 px. So results
name the extractor and the hash of its weights.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from triptych.evaluate.results import Interval
from triptych.evaluate.scoring.bootstrap import Tally, intervals
from triptych.evaluate.scoring.metric import Metric
from triptych.evaluate.tasks.question import Measured, Record

GROUPS = 10
"""Parts that are left out in turn, to know how far a distance depends on which pictures it is of."""


class Images(Metric):
    """FID, and the mean CLIP score where the features are those of a dual encoder."""

    name = "images"
    inputs = ("values.made", "values.real", "values.picture", "values.text")
    source = "M. Heusel et al., NeurIPS 2017 (FID); J. Hessel et al., EMNLP 2021 (CLIP score)"
    lower_is_better = ("fid",)
    needs = "draws"

    def takes(self, record: Record) -> bool:
        """Whether there are features of a picture."""
        return isinstance(record, Measured) and bool(record.values)

    def tally(self, records: Sequence[Record]) -> Tally:
        """CLIP scores as sums per item."""
        scores = clip_score(rows_of(records, "picture"), rows_of(records, "text"))
        sums = np.stack([scores, np.ones_like(scores)], axis=1)
        return Tally(
            [record.id for record in records], sums, lambda total: {"clip_score": total[..., 0] / total[..., 1]},
            {"clip_score": len(records)},
        )  # fmt: skip

    def intervals(self, records: Sequence[Record], seed: int = 0) -> dict[str, Interval]:
        """FID by the jackknife, CLIP score by the bootstrap; each where its features are there."""
        held = records[0].values if isinstance(records[0], Measured) else {}
        scores = {"fid": distance(rows_of(records, "real"), rows_of(records, "made"), seed)} if "made" in held else {}
        return scores | (intervals(self.tally(records), seed=seed) if "text" in held else {})


def rows_of(records: Sequence[Record], name: str) -> NDArray[np.floating]:
    """A value of measured records as rows, `[N, D]`."""
    return np.stack([record.values[name] for record in records if isinstance(record, Measured)])


def distance(real: NDArray[np.floating], made: NDArray[np.floating], seed: int = 0) -> Interval:
    """The Fréchet distance with a 95 % interval by the jackknife: a tenth of both sets is left out in turn.

    (A bootstrap would draw pictures twice, which makes a covariance narrower and the distance longer.)
    B. Efron, C. Stein, "The jackknife estimate of variance", 1981.
    """
    value = frechet_distance(real, made)
    group = np.random.default_rng(seed).permutation(len(real)) % GROUPS
    without = np.array([frechet_distance(real[group != g], made[group != g]) for g in range(GROUPS)])
    error = float(np.sqrt((GROUPS - 1) / GROUPS * ((without - without.mean()) ** 2).sum()))
    return Interval(value=value, low=max(0.0, value - 1.96 * error), high=value + 1.96 * error, n=len(real))


def halves(real: NDArray[np.floating], seed: int = 0) -> float:
    """The distance of one half of the real pictures to the other: what a perfect painter would get from so few."""
    order = np.random.default_rng(seed).permutation(len(real))
    return frechet_distance(real[order[::2]], real[order[1::2]])


def frechet_distance(real: NDArray[np.floating], made: NDArray[np.floating]) -> float:
    """The Fréchet distance of two sets of features `[N, D]` and `[M, D]`, each with a row a picture.

    Raises:
        ValueError: The widths differ, or a set has fewer than two rows.
    """
    if real.ndim != 2 or made.ndim != 2 or real.shape[1] != made.shape[1]:
        raise ValueError(f"features of one width are needed, got {real.shape} and {made.shape}")
    if min(len(real), len(made)) < 2:
        raise ValueError("a covariance needs at least two pictures in each set")
    first, second = (np.asarray(features, dtype=np.float64) for features in (real, made))
    difference = first.mean(axis=0) - second.mean(axis=0)
    a, b = np.cov(first, rowvar=False), np.cov(second, rowvar=False)
    # tr (AB)^½ = tr (A^½ B A^½)^½, which is symmetric and so has real, non-negative eigenvalues.
    values, vectors = np.linalg.eigh(np.atleast_2d(a))
    root = (vectors * np.sqrt(values.clip(min=0))) @ vectors.T
    mixed = np.linalg.eigvalsh(root @ np.atleast_2d(b) @ root).clip(min=0)
    return float(difference @ difference + np.trace(np.atleast_2d(a + b)) - 2 * np.sqrt(mixed).sum())


def clip_score(images: NDArray[np.floating], texts: NDArray[np.floating], weight: float = 2.5) -> NDArray[np.float64]:
    """CLIP score `[N]` of pictures and their texts, directions `[N, E]`: `weight · max(cosine, 0)`."""
    cosines = (images * texts).sum(-1) / (np.linalg.norm(images, axis=-1) * np.linalg.norm(texts, axis=-1))
    return np.asarray(weight * cosines.clip(min=0), dtype=np.float64)
