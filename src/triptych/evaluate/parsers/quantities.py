"""Reading numbers with decimals, signs and units: "14 cm", "$1,450.50", "[2007, 2008]"."""

from __future__ import annotations

import math
import re

from triptych.evaluate.parsers.conclusion import conclude
from triptych.evaluate.parsers.numbers import parse_count
from triptych.evaluate.parsers.words import commits, words_of

_NUMBER = re.compile(
    r"(?<![\w.^_])[-−+]?(?:(?:\d{1,3}(?:,\d{3})+(?![\d,])|\d+)(?:\.\d+)?|\.\d+)(?:[eE][-+]?\d{1,3})?(?![\w])(?!\.\d)"
)
_FRACTION = re.compile(r"(?<![\w./])([-−]?\d{1,9})\s*/\s*(\d{1,9})(?![\w./])")
_FRAC = re.compile(r"\\[dt]?frac\s*\{(-?\d{1,9})\}\s*\{(\d{1,9})\}")


def numbers_in(text: str) -> list[float]:
    """All finite numbers of a text in order; fractions are one number, units and currency signs do not matter."""
    text = _FRACTION.sub(_value, _FRAC.sub(_value, text))
    found = []
    for match in _NUMBER.finditer(text):
        bare = match.group().replace(",", "").replace("−", "-").lstrip("+")
        if math.isfinite(value := float(bare)):
            found.append(value)
    return found


def read_numbers(text: str, several: bool = False) -> str | None:
    """The one number that an answer states or concludes (or, with `several`, the numbers), as text that `numbers_in` reads.

    Unparsed: two different numbers where one is asked for, doubts and denials, nothing but words.
    """

    def one(said: str) -> str | None:
        if not commits(words_of(said)):
            return None
        found = numbers_in(said)
        if several:
            return f"[{', '.join(map(repr, found))}]" if found else None
        if len(set(found)) == 1:
            return repr(found[0])
        return (_counted(said)) if not found else None

    return conclude(text, one)


def _counted(said: str) -> str | None:
    count = parse_count(said)
    return None if count is None else repr(float(count))


def _value(match: re.Match[str]) -> str:
    above, below = (float(part.replace("−", "-")) for part in match.groups())
    return f" {above / below!r} " if below else " "
