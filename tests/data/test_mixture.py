"""Mixtures: exact shares, exact epochs, and no memory of what was drawn before."""

from __future__ import annotations

import pickle
from collections import Counter
from itertools import pairwise, permutations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from triptych.data.mixture import Mixture
from triptych.errors import RecipeError

mixtures = st.dictionaries(
    st.text("abcxyz", min_size=1, max_size=3),
    st.tuples(st.integers(1, 40), st.floats(0.1, 100)),
    min_size=1,
    max_size=6,
).map(lambda both: ({k: v[0] for k, v in both.items()}, {k: v[1] for k, v in both.items()}))


@settings(max_examples=60, deadline=None)
@given(mixtures, st.integers(0, 2**31 - 1), st.integers(1, 300), st.integers(1, 6))
def test_after_whole_blocks_every_share_is_exact_to_one(mixed, seed, block, blocks):
    sizes, weights = mixed
    mixture = Mixture(sizes, weights, seed, block)
    draws = blocks * mixture.block
    counts = Counter(mixture.draw(n)[0] for n in range(draws))
    assert mixture.counts(draws) == {name: counts[name] for name in mixture.names}
    for name, weight in weights.items():
        assert abs(counts[name] - draws * weight / sum(weights.values())) <= 1 + 1e-6


@pytest.mark.parametrize("block", [1, 7, 256, 10**9 + 7])
def test_shares_stay_exact_far_away(block):
    weights = {"a": 0.1, "b": 0.2, "c": 0.7}
    mixture = Mixture(dict.fromkeys(weights, 10), weights, 0)
    draws = block * mixture.block
    for name, count in mixture.counts(draws).items():
        assert abs(count - draws * weights[name]) <= 1


@settings(max_examples=60, deadline=None)
@given(mixtures, st.integers(0, 1000))
def test_every_epoch_meets_every_record_once(mixed, seed):
    sizes, weights = mixed
    mixture = Mixture(sizes, weights, seed, block=16)
    drawn: dict[str, list[int]] = {name: [] for name in sizes}
    for n in range(600):
        name, index = mixture.draw(n)
        drawn[name].append(index)
    for name, indices in drawn.items():
        for epoch in range(len(indices) // sizes[name]):
            one = indices[epoch * sizes[name] : (epoch + 1) * sizes[name]]
            assert sorted(one) == list(range(sizes[name]))


@settings(max_examples=30, deadline=None)
@given(mixtures, st.integers(0, 1000), st.randoms(use_true_random=False))
def test_a_draw_depends_on_its_number_alone(mixed, seed, chance):
    sizes, weights = mixed
    order = list(range(500))
    forwards = list(map(Mixture(sizes, weights, seed).draw, order))
    chance.shuffle(order)
    jumping = Mixture(sizes, weights, seed)
    for n in order:
        assert jumping.draw(n) == forwards[n]
    resumed = pickle.loads(pickle.dumps(jumping))
    assert [resumed.draw(n) for n in range(333, 500)] == forwards[333:]


@settings(max_examples=30, deadline=None)
@given(mixtures)
def test_the_order_in_which_a_recipe_lists_datasets_does_not_matter(mixed):
    sizes, weights = mixed
    backwards = Mixture(dict(reversed(sizes.items())), dict(reversed(weights.items())), 0)
    assert list(map(backwards.draw, range(300))) == list(map(Mixture(sizes, weights, 0).draw, range(300)))


def test_scaling_all_weights_changes_nothing():
    sizes = {"a": 9, "b": 5}
    one, hundred = Mixture(sizes, {"a": 0.3, "b": 0.7}, 0), Mixture(sizes, {"a": 30, "b": 70}, 0)
    assert [one.draw(n) for n in range(1000)] == [hundred.draw(n) for n in range(1000)]


def test_another_dataset_does_not_change_the_order_of_the_first():
    alone = Mixture({"a": 50}, {"a": 1}, 3)
    beside = Mixture({"a": 50, "b": 7}, {"a": 1, "b": 2}, 3)
    in_company = [index for name, index in map(beside.draw, range(900)) if name == "a"]
    assert [alone.draw(n)[1] for n in range(len(in_company))] == in_company


def test_epochs_and_seeds_differ():
    def epochs(seed):
        mixture = Mixture({"a": 100}, {"a": 1}, seed)
        return [tuple(mixture.draw(n)[1] for n in range(100 * e, 100 * e + 100)) for e in range(5)]

    assert len({*epochs(0), *epochs(1)}) == 10


def test_every_order_of_the_records_is_equally_likely():
    # Chi-square with 23 degrees of freedom: 60 is passed by chance less than once in 20,000 times.
    count, orders = 3600, list(permutations(range(4)))
    mixture = Mixture({"a": 4}, {"a": 1}, 0)
    found = Counter(tuple(mixture.draw(n)[1] for n in range(4 * e, 4 * e + 4)) for e in range(count))
    expected = count / len(orders)
    assert sum((found[order] - expected) ** 2 / expected for order in orders) < 60


def test_positions_of_a_large_dataset_are_spread_evenly():
    mixture = Mixture({"a": 10**9}, {"a": 1}, 5)
    drawn = [mixture.draw(n)[1] for n in range(4096)]
    assert len(set(drawn)) == 4096
    tenths = Counter(index // 10**8 for index in drawn)
    assert sum((tenths[i] - 409.6) ** 2 / 409.6 for i in range(10)) < 40  # 9 degrees of freedom
    ascending = sum(a < b for a, b in pairwise(drawn))
    assert abs(ascending - 2048) < 5 * (4096 / 12) ** 0.5


def test_datasets_are_interleaved_not_in_runs():
    mixture = Mixture({"a": 10, "b": 10}, {"a": 1, "b": 1}, 0)
    names = [mixture.draw(n)[0] for n in range(2560)]
    changes = sum(a != b for a, b in pairwise(names))
    assert abs(changes - 1280) < 150


def test_a_small_share_is_drawn_at_its_rate():
    mixture = Mixture({"rare": 3, "common": 1000}, {"rare": 1, "common": 9999}, 0)
    assert mixture.counts(mixture.block * 3)["rare"] in {2, 3, 4}


def test_seen_counts_distinct_records():
    mixture = Mixture({"a": 7, "b": 100}, {"a": 1, "b": 1}, 0)
    for n in (0, 1, 10, 150, 700):
        drawn = {mixture.draw(i) for i in range(n)}
        assert mixture.seen(n) == {name: sum(pair[0] == name for pair in drawn) for name in "ab"}


@pytest.mark.parametrize(
    ("sizes", "weights", "says"),
    [
        ({"a": 1}, {"a": 0}, "'a' is 0"),
        ({"a": 1}, {"a": -1}, "positive"),
        ({"a": 1}, {"a": float("nan")}, "positive"),
        ({"a": 1}, {"a": float("inf")}, "positive"),
        ({"a": 1}, {"a": 1, "b": 1}, "no dataset 'b'"),
        ({"a": 1, "b": 1}, {"a": 1}, "'b' has no weight"),
        ({"a": 0}, {"a": 1}, "'a' is empty"),
        ({}, {}, "at least one"),
        ({"a": 1, "b": 1}, {"a": 1, "b": 1e-9}, "one draw in a million"),
    ],
)
def test_a_mixture_that_cannot_be_is_refused(sizes, weights, says):
    with pytest.raises(RecipeError, match=says):
        Mixture(sizes, weights, 0)


def test_draws_are_counted_from_zero():
    with pytest.raises(IndexError):
        Mixture({"a": 1}, {"a": 1}, 0).draw(-1)


def test_the_sequence_is_the_same_on_every_machine_and_in_every_version():
    """The other tests say what is right; this one that a run that was interrupted goes on with the same data."""
    mixture = Mixture({"a": 10, "b": 3}, {"a": 3, "b": 1}, 0)
    drawn = " ".join(f"{name}{index}" for name, index in map(mixture.draw, range(16)))
    assert drawn == "b2 a6 a0 a8 a1 a4 a2 a9 b0 a7 a5 b1 a3 b1 a8 a5"
