"""Weighted mixtures of datasets, as a pure function from the number of a draw to a record.

Draws come in blocks. At the end of every block each dataset has been drawn `weight × draws` times, to ±1 over the
whole past, because its draws are what lies between two rounded lines; inside a block the order is shuffled. The j-th
draw of a dataset takes place `j mod size` of a permutation of its records that is new for every epoch `j // size`, so
each epoch meets every record once. Nothing depends on what was drawn before: to resume is to know the number.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Mapping
from fractions import Fraction

import numpy as np
from numpy.typing import NDArray

from triptych.errors import RecipeError

BLOCK = 256
"""Draws in a block, unless a dataset's share is so small that a block would hold less than one of it."""

SMALLEST_SHARE = 1e-6

_ROUNDS = 8
_KEPT_BLOCKS = 8


class Mixture:
    """Which record of which dataset the n-th draw is.

    Args:
        sizes: Number of records of each dataset.
        weights: Share of the draws of each dataset, in any unit; the same names as `sizes`.
        seed: Another seed draws in another order.
        block: Draws in a block, at least.

    Raises:
        RecipeError: A name without size or weight, a weight that is not positive, an empty dataset, a share
            below one in a million.
    """

    def __init__(self, sizes: Mapping[str, int], weights: Mapping[str, float], seed: int, block: int = BLOCK) -> None:
        _check(sizes, weights)
        self.seed = seed
        self.names = tuple(sorted(weights))  # so that the order in which a recipe lists them does not matter
        self.sizes = {name: sizes[name] for name in self.names}
        exact = [Fraction(str(weights[name])) for name in self.names]
        self.shares = {name: float(weight / sum(exact)) for name, weight in zip(self.names, exact, strict=True)}
        self.block = max(block, math.ceil(1 / min(self.shares.values())) + 1)
        # Upper ends of the datasets' intervals of [0, 1], exact: floats would round differently after many blocks.
        self._ends = [sum(exact[: i + 1], Fraction()) / sum(exact) for i in range(len(exact))]
        self._keys = [_key(seed, "records", name) for name in self.names]
        self._block_key = _key(seed, "blocks")
        self._kept: dict[int, tuple[NDArray[np.int64], NDArray[np.int64]]] = {}

    def draw(self, n: int) -> tuple[str, int]:
        """Dataset and record number of draw `n`, counted from 0."""
        if n < 0:
            raise IndexError(f"draws are counted from 0, got {n}")
        datasets, records = self._block(n // self.block)
        place = n % self.block
        return self.names[datasets[place]], int(records[place])

    def counts(self, n: int) -> dict[str, int]:
        """How many of the first `n` draws come from each dataset."""
        block, rest = divmod(n, self.block)
        inside = np.bincount(self._block(block)[0][:rest], minlength=len(self.names)) if rest else [0] * len(self.names)
        return {
            name: before + int(more) for name, before, more in zip(self.names, self._before(block), inside, strict=True)
        }

    def seen(self, n: int) -> dict[str, int]:
        """How many distinct records of each dataset are among the first `n` draws."""
        return {name: min(count, self.sizes[name]) for name, count in self.counts(n).items()}

    def _before(self, block: int) -> list[int]:
        """Draws of each dataset before a block: differences of rounded ends, hence within 1 of `share × draws`.

        They never decrease from block to block because a block holds at least one draw of each dataset.
        """
        draws = block * self.block
        ends = [math.floor(end * draws + Fraction(1, 2)) for end in self._ends]
        return [end - start for start, end in zip([0, *ends], ends, strict=False)]

    def _block(self, block: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Dataset and record of each draw of a block, `[block]` each."""
        kept = self._kept.get(block)
        if kept is None:
            kept = self._drawn(block)
            if len(self._kept) >= _KEPT_BLOCKS:
                self._kept.pop(next(iter(self._kept)), None)
            self._kept[block] = kept
        return kept

    def _drawn(self, block: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        before, after = self._before(block), self._before(block + 1)
        in_order = np.repeat(np.arange(len(self.names)), np.subtract(after, before))
        datasets = in_order[_permuted(np.arange(self.block), self.block, self._block_key, np.full(self.block, block))]
        records = np.empty(self.block, dtype=np.int64)
        for i, name in enumerate(self.names):
            size, draws = self.sizes[name], np.arange(before[i], after[i])
            records[datasets == i] = _permuted(draws % size, size, self._keys[i], draws // size)
        return datasets, records


def _check(sizes: Mapping[str, int], weights: Mapping[str, float]) -> None:
    if not weights:
        raise RecipeError("a mixture needs at least one dataset")
    for name in weights:
        if name not in sizes:
            raise RecipeError(f"mixture: there is no dataset {name!r}, only {', '.join(sorted(sizes)) or 'nothing'}")
    for name, size in sizes.items():
        if name not in weights:
            raise RecipeError(f"mixture: the dataset {name!r} has no weight; give it one or leave it out")
        if size < 1:
            raise RecipeError(f"mixture: the dataset {name!r} is empty")
    for name, weight in weights.items():
        if not (math.isfinite(weight) and weight > 0):
            raise RecipeError(f"mixture: the weight of {name!r} is {weight}; expected a positive number")
    for name, weight in weights.items():
        if weight / sum(weights.values()) < SMALLEST_SHARE:
            raise RecipeError(f"mixture: the weight of {name!r} is {weight}, less than one draw in a million")


def _key(*names: object) -> int:
    """64 bits that depend on every name."""
    return int.from_bytes(hashlib.blake2b(repr(names).encode(), digest_size=8).digest())


def _permuted(places: NDArray[np.int64], size: int, key: int, epochs: NDArray[np.int64]) -> NDArray[np.int64]:
    """Where a pseudo-random permutation of `range(size)`, another for each epoch, takes each place: `[P]` of `[P]`.

    A Feistel network over a grid of about √size × √size cells; places that fall outside of `range(size)` walk on
    until they are inside (Black and Rogaway 2002, "Ciphers with arbitrary finite domains"). Constant memory, so a
    dataset of a billion records costs as little as one of ten.
    """
    rows = math.isqrt(size - 1) + 1
    columns = -(-size // rows)
    keys = _mixed(_mixed(np.uint64(key) + epochs.astype(np.uint64)))
    result = places.astype(np.uint64)
    walking = np.ones(len(result), dtype=bool)
    while walking.any():
        left, right = np.divmod(result[walking], np.uint64(columns))
        for step in range(_ROUNDS):
            noise = _mixed(keys[walking] + np.uint64(step << 1))
            left = (left + _mixed(noise ^ right) % np.uint64(rows)) % np.uint64(rows)
            noise = _mixed(keys[walking] + np.uint64((step << 1) + 1))
            right = (right + _mixed(noise ^ left) % np.uint64(columns)) % np.uint64(columns)
        result[walking] = left * np.uint64(columns) + right
        walking[walking] = result[walking] >= size
    return result.astype(np.int64)


def _mixed(values: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """The finaliser of splitmix64 (Steele, Lea and Flood 2014): every bit in moves every bit out."""
    with np.errstate(over="ignore"):
        values = values + np.uint64(0x9E3779B97F4A7C15)
        values = (values ^ (values >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        values = (values ^ (values >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
        return values ^ (values >> np.uint64(31))
