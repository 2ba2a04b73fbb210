"""The things that scenes are made of: a curated list of concrete, visually distinct glyphs with their names.

No two things share a name, and no name is the general word for another thing on the list (there is a sparrow but no
"bird", a soccer ball but no "ball"), so that "Is there a …?" and "How many …?" have one answer. The list starts
with the commonest things whose names are one token in ordinary vocabularies; the first 64 look least alike.
"""

from __future__ import annotations

import csv
import difflib
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from importlib.resources import files

COUNT_WORDS = ("no", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")

_SOUNDS_LIKE_VOWEL = frozenset({"hourglass"})
_SOUNDS_LIKE_CONSONANT = frozenset({"unicorn"})


@dataclass(frozen=True, slots=True)
class Thing:
    """A kind of thing: its names, the character that draws it, and the group of similar things it belongs to."""

    name: str
    plural: str
    glyph: str
    group: str

    @property
    def a(self) -> str:
        """The name with its indefinite article: "a dog", "an apple"."""
        return with_article(self.name)

    def times(self, count: int) -> str:
        """So many of them, in words: "a dog", "two dogs"."""
        return self.a if count == 1 else f"{COUNT_WORDS[count]} {self.plural}"


def with_article(name: str) -> str:
    """A name with its indefinite article."""
    vowel = name[:1].lower() in "aeiou" and name not in _SOUNDS_LIKE_CONSONANT
    return f"an {name}" if vowel or name in _SOUNDS_LIKE_VOWEL else f"a {name}"


@cache
def all_things() -> tuple[Thing, ...]:
    """Every thing, commonest and most distinct first."""
    rows = (files("triptych.scenes") / "things.csv").read_text(encoding="utf-8").splitlines()
    return tuple(
        Thing(row["name"], row["plural"], chr(int(row["codepoint"], 16)), row["group"]) for row in csv.DictReader(rows)
    )


@cache
def _by_name() -> dict[str, Thing]:
    return {thing.name: thing for thing in all_things()}


def select(things: int | Sequence[str]) -> tuple[Thing, ...]:
    """The first so many things, or the things of these names in this order.

    Raises:
        ValueError: There are not that many, fewer than two are asked for, a name is unknown or comes twice.
    """
    if isinstance(things, int):
        if not 2 <= things <= len(all_things()):
            raise ValueError(f"things: from 2 to {len(all_things())} of them, or a list of their names; got {things}")
        return all_things()[:things]
    known = _by_name()
    for name in things:
        if name not in known:
            near = difflib.get_close_matches(name, known, n=1)
            hint = f"did you mean {near[0]!r}?" if near else "`triptych.scenes.all_things()` lists every name"
            raise ValueError(f"things: no thing is named {name!r}; {hint}")
    if len(set(things)) != len(things):
        raise ValueError(f"things: {next(n for n in things if list(things).count(n) > 1)!r} comes twice")
    if len(things) < 2:
        raise ValueError("things: name at least two of them")
    return tuple(known[name] for name in things)
