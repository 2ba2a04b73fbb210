"""Held-out pairs: which two things never share a picture, except in the split that tests exactly that."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from functools import cached_property, lru_cache

from triptych.scenes.things import Thing

SHARE = 1 / 8
"""Of all unordered pairs of things, the share that is held out."""


@lru_cache(maxsize=1 << 18)
def held_out(a: str, b: str) -> bool:
    """Whether these two things (by name, in either order) are a held-out pair.

    Decided by a hash of the two names alone, so it is the same for every selection of things and every seed.
    """
    if a == b:
        return False
    digest = hashlib.sha256("|".join(sorted((a, b))).encode()).digest()
    return int.from_bytes(digest[:8], "big") < SHARE * 2**64


class Cast:
    """The things of a dataset, and which of them may meet in a picture.

    Args:
        things: The selection, in order.
        strangers: Whether every picture shows a held-out pair; if not, none does.
    """

    def __init__(self, things: Iterable[Thing], *, strangers: bool = False) -> None:
        self.things = tuple(things)
        self.strangers = strangers
        self._index = {thing: i for i, thing in enumerate(self.things)}
        self._groups: dict[str, list[Thing]] = {}
        for thing in self.things:
            self._groups.setdefault(thing.group, []).append(thing)

    @cached_property
    def held_out(self) -> tuple[tuple[Thing, Thing], ...]:
        """Every held-out pair of the selection."""
        names = [thing.name for thing in self.things]
        return tuple(
            (self.things[i], self.things[j])
            for i in range(len(names))
            for j in range(i + 1, len(names))
            if held_out(names[i], names[j])
        )

    @cached_property
    def _companions(self) -> list[int]:
        """Per thing the set of things that may stand beside it, as the bits of an integer."""
        everyone = (1 << len(self.things)) - 1
        sets = [everyone & ~(1 << i) for i in range(len(self.things))]
        if not self.strangers:
            for a, b in self.held_out:
                i, j = self._index[a], self._index[b]
                sets[i] &= ~(1 << j)
                sets[j] &= ~(1 << i)
        return sets

    def beside(self, present: Iterable[Thing]) -> list[Thing]:
        """The things that are not present and may stand beside all that are, in order."""
        common = (1 << len(self.things)) - 1
        for thing in present:
            common &= self._companions[self._index[thing]]
        # Reading the bits out of a string is several times faster than shifting an integer of hundreds of bits.
        return [thing for bit, thing in zip(reversed(f"{common:b}"), self.things, strict=False) if bit == "1"]

    def group(self, thing: Thing) -> list[Thing]:
        """The things of the same group, itself included."""
        return self._groups[thing.group]
