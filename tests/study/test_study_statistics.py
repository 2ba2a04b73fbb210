"""Intervals over seeds and pictures whose answers are known."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from triptych.errors import EvaluationError
from triptych.evaluate.scoring.bootstrap import Tally, intervals
from triptych.study.statistics import difference_over_seeds, interval_over_seeds, per_seed


def tally(right: np.ndarray) -> Tally:
    """One question a picture; 1 where it is answered well."""
    sums = np.stack([np.ones(len(right)), right.astype(float)], axis=1)
    return Tally(range(len(right)), sums, lambda s: {"accuracy": s[..., 1] / s[..., 0]}, {"accuracy": len(right)})


def coins(share: float, pictures: int, seed: int) -> np.ndarray:
    return np.random.default_rng(seed).random(pictures) < share


def test_seeds_that_agree_leave_the_interval_over_pictures() -> None:
    """With the same answers for each seed nothing but pictures varies: sqrt(p (1 - p) / n) on either side."""
    right = coins(0.7, 400, 0)
    found = interval_over_seeds([tally(right)] * 3, "accuracy")
    p = right.mean()
    half = 1.96 * math.sqrt(p * (1 - p) / 400)
    assert found.value == pytest.approx(p)
    assert found.high - found.value == pytest.approx(half, rel=0.12)
    assert found.value - found.low == pytest.approx(half, rel=0.12)


def test_pictures_that_agree_leave_the_variance_between_seeds() -> None:
    """Every picture scores the same within a seed: the variance of the mean of S seeds is s² / S."""
    scores = np.random.default_rng(1).normal(0.5, 0.1, size=12)
    same = [
        Tally(range(5), np.tile([1.0, score], (5, 1)), lambda s: {"accuracy": s[..., 1] / s[..., 0]}, {"accuracy": 5})
        for score in scores
    ]
    found = interval_over_seeds(same, "accuracy", resamples=20_000)
    assert found.value == pytest.approx(scores.mean())
    assert found.high - found.low == pytest.approx(2 * 1.96 * scores.std(ddof=1) / math.sqrt(12), rel=0.05)


def test_one_seed_is_the_bootstrap_over_pictures() -> None:
    one = tally(coins(0.4, 300, 2))
    ours, theirs = interval_over_seeds([one], "accuracy"), intervals(one)["accuracy"]
    assert (ours.value, ours.n) == (theirs.value, 300)
    assert ours.low == pytest.approx(theirs.low, abs=0.012)
    assert ours.high == pytest.approx(theirs.high, abs=0.012)


def test_pairing_by_picture_sees_a_small_difference() -> None:
    """Both fail on the same hard pictures; one fails on four more of 200: their difference is sure, their scores overlap."""
    worse = coins(0.6, 200, 3)
    better = worse.copy()
    better[np.flatnonzero(~worse)[:6]] = True
    found = difference_over_seeds([tally(worse)] * 3, [tally(better)] * 3, "accuracy")
    assert found.value == pytest.approx(-0.03)
    assert found.high < 0
    a, b = (interval_over_seeds([tally(x)] * 3, "accuracy") for x in (worse, better))
    assert a.high > b.low


def test_pairing_by_seed_sees_a_small_difference() -> None:
    """Seeds differ by a lot, variants by little, in every seed alike."""
    easy = [np.arange(100) < 50 + 10 * seed for seed in range(4)]
    harder = [np.arange(100) < 48 + 10 * seed for seed in range(4)]
    found = difference_over_seeds([tally(x) for x in harder], [tally(x) for x in easy], "accuracy")
    assert found.value == pytest.approx(-0.02)
    assert -0.06 < found.low < found.high <= 0


@settings(max_examples=20, deadline=None)
@given(st.integers(1, 5), st.integers(2, 30), st.integers(0, 1000))
def test_a_difference_from_itself_is_nothing(seeds: int, pictures: int, seed: int) -> None:
    tallies = [tally(coins(0.5, pictures, seed + i)) for i in range(seeds)]
    found = difference_over_seeds(tallies, tallies, "accuracy", resamples=50)
    assert (found.value, found.low, found.high) == (0, 0, 0)
    whole = interval_over_seeds(tallies, "accuracy", resamples=200)
    assert min(per_seed(tallies, "accuracy")) <= whole.value <= max(per_seed(tallies, "accuracy"))


def test_intervals_of_two_normal_factors_cover_the_truth() -> None:
    """Seeds and pictures both random, five seeds: about 95 in 100 intervals hold the truth (at least 88, at most all)."""
    generator = np.random.default_rng(5)
    hits = 0
    for _ in range(100):
        seeds, pictures = generator.normal(0, 0.05, 5), generator.normal(0, 0.3, 60)
        noise = generator.normal(0, 0.2, (5, 60))
        values = 0.5 + seeds[:, None] + pictures[None, :] + noise
        tallies = [
            Tally(range(60), np.stack([np.ones(60), row], axis=1), lambda s: {"x": s[..., 1] / s[..., 0]}, {"x": 60})
            for row in values
        ]
        found = interval_over_seeds(tallies, "x", resamples=400)
        hits += found.low <= 0.5 <= found.high
    assert 88 <= hits <= 100


def test_other_pictures_or_seeds_are_refused() -> None:
    with pytest.raises(EvaluationError, match="not asked about the same pictures"):
        interval_over_seeds([tally(coins(0.5, 10, 0)), tally(coins(0.5, 11, 0))], "accuracy")
    with pytest.raises(EvaluationError, match="the same seeds on both sides, got 1, 2"):
        difference_over_seeds([tally(coins(0.5, 10, 0))], [tally(coins(0.5, 10, 0))] * 2, "accuracy")


def test_a_score_that_some_resamples_lack() -> None:
    """Two of three pictures have no question of the kind: resamples without the third are left out, not counted as 0."""
    sums = np.array([[0.0, 0.0], [0.0, 0.0], [2.0, 1.0]])

    def score(s: np.ndarray) -> dict[str, np.ndarray]:
        with np.errstate(invalid="ignore"):
            return {"x": s[..., 1] / s[..., 0]}

    found = interval_over_seeds([Tally(range(3), sums, score, {"x": 2})] * 2, "x")
    assert (found.low, found.value, found.high) == (0.5, 0.5, 0.5)
