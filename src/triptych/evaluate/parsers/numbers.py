"""Reading counts."""

from __future__ import annotations

import re

from triptych.evaluate.parsers.conclusion import conclude
from triptych.evaluate.parsers.words import commits, vocabulary, words_of

_SMALL = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten")
_TEENS = ("eleven", "twelve", "thirteen", "fourteen", "fifteen", "sixteen", "seventeen", "eighteen", "nineteen")
_NUMBERS = {word: str(value) for value, word in enumerate((*_SMALL, *_TEENS, "twenty"))} | {"none": "0"}

_LARGER = vocabulary(
    "thirty forty fifty sixty seventy eighty ninety hundred hundreds thousand thousands million dozen dozens half "
    "couple pair several many few"
)
_INEXACT = vocabulary("about approximately around roughly nearly almost over under than least most to")
_POINTING = vocabulary("the this that which each every another")

_NO_COUNT = re.compile(r"\d[.,:/%–-]\d|[-−+~±≈<>]\d|\d[+%]")
"""3.5, 1-2, 1/2, -1, 3+: numbers, but not of things."""


def parse_count(text: str) -> str | None:
    """A number in digits (`"3"`), if the answer states or concludes exactly one, as digits or as a word up to twenty.

    "Two or three", "at least 2", "2 cats and 1 dog", "a hundred" and "the one on the left" are unparsed.
    """
    return conclude(text, _count)


def _count(text: str) -> str | None:
    if _NO_COUNT.search(text):
        return None
    words = words_of(text)
    if not commits(words) or any(word in _LARGER for word in words):
        return None
    found = set()
    for i, word in enumerate(words):
        number = _NUMBERS.get(word) or ((word.lstrip("0") or "0") if re.fullmatch("[0-9]{1,6}", word) else None)
        if number is None:
            if any(character.isnumeric() for character in word):  # 2nd, ½, other scripts, longer numbers
                return None
            continue
        before, after = words[i - 1 : i], words[i + 1 : i + 2]
        if before and before[0] in _INEXACT:
            return None
        if word == "one" and (after == ["of"] or (before and before[0] in _POINTING)):
            return None
        found.add(number)
    return found.pop() if len(found) == 1 else None
