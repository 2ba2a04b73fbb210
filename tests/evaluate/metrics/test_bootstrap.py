from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from triptych.evaluate.scoring import bootstrap
from triptych.evaluate.scoring.bootstrap import Tally, differences, intervals


def mean_score(sums: NDArray[np.float64]) -> dict[str, NDArray[np.float64]]:
    return {"mean": sums[..., 0] / sums[..., 1]}


def tally(values: NDArray[np.float64]) -> Tally:
    """The mean of values, a row per picture of values `[C, Q]`."""
    sums = np.stack([values.sum(axis=1), np.full(len(values), values.shape[1])], axis=1).astype(np.float64)
    return Tally(range(len(values)), sums, mean_score, {"mean": values.size})


def test_the_interval_of_a_mean_is_that_of_statistics() -> None:
    values = np.random.default_rng(0).normal(3.0, 2.0, (400, 1))
    found = intervals(tally(values), resamples=4000)["mean"]
    error = values.std() / np.sqrt(400)
    assert found.value == pytest.approx(values.mean())
    assert found.low == pytest.approx(values.mean() - 1.96 * error, abs=0.15 * error)
    assert found.high == pytest.approx(values.mean() + 1.96 * error, abs=0.15 * error)
    assert found.n == 400


def test_about_95_of_100_intervals_hold_the_truth() -> None:
    generator = np.random.default_rng(1)
    held = 0
    for trial in range(200):
        found = intervals(tally(generator.binomial(1, 0.7, (100, 1)).astype(float)), resamples=300, seed=trial)["mean"]
        held += found.low <= 0.7 <= found.high
    assert 0.91 <= held / 200 <= 0.99


def test_resamples_are_made_of_whole_pictures() -> None:
    """Six equal answers per picture tell no more than one, so the interval is that of one answer per picture."""
    once = np.random.default_rng(2).binomial(1, 0.5, (200, 1)).astype(float)
    one, six = intervals(tally(once))["mean"], intervals(tally(np.repeat(once, 6, axis=1)))["mean"]
    assert (one.low, one.high) == (six.low, six.high)
    apart = intervals(tally(np.repeat(once, 6, axis=0)))["mean"]  # as if they were 1,200 pictures
    assert (apart.high - apart.low) < 0.5 * (six.high - six.low)


def test_the_same_seed_gives_the_same_interval_whatever_the_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    data = tally(np.random.default_rng(3).normal(size=(50, 2)))
    whole = intervals(data, seed=5)
    assert intervals(data, seed=5) == whole
    assert intervals(data, seed=6) != whole
    monkeypatch.setattr(bootstrap, "_BLOCK", 130)  # two resamples at a time
    for name, interval in intervals(data, seed=5).items():
        assert interval.low == pytest.approx(whole[name].low)
        assert interval.high == pytest.approx(whole[name].high)


def test_a_paired_difference_sees_what_two_intervals_do_not() -> None:
    generator = np.random.default_rng(4)
    difficulty = generator.normal(0, 1, (150, 1))
    ours, theirs = tally(difficulty + 0.2 + generator.normal(0, 0.1, (150, 1))), tally(difficulty)
    change = differences(ours, theirs)["mean"]
    assert change.low > 0.15
    assert change.high < 0.25
    assert intervals(ours)["mean"].low < intervals(theirs)["mean"].high  # they overlap widely


def test_nothing_differs_from_itself() -> None:
    data = tally(np.random.default_rng(5).normal(size=(30, 1)))
    change = differences(data, data)["mean"]
    assert (change.value, change.low, change.high) == (0, 0, 0)


def test_different_pictures_cannot_be_paired() -> None:
    data = tally(np.ones((3, 1)))
    with pytest.raises(ValueError, match="same pictures"):
        differences(data, Tally([2, 1, 0], data.sums, data.score, data.counts))


def test_a_score_over_nothing_is_left_out() -> None:
    data = Tally([0], np.zeros((1, 2)), lambda s: {"none": np.full(s.shape[:-1], np.nan)}, {"none": 0})
    assert intervals(data) == {}
