"""Answers cut into words, and the words that take an answer back."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable

_LETTERS = r"(?:[^\W_]|[\u0900-\u0dff\u0e31\u0e34-\u0e3a\u0e47-\u0e4e])+"  # vowel signs of India and Thailand are no \w
_TOKEN = re.compile(rf"{_LETTERS}(?:'{_LETTERS})*|[^\w\s]|_")


def vocabulary(words: str) -> frozenset[str]:
    """A set of words, written as a line of text."""
    return frozenset(words.split())


NO = frozenset({"no", "nope", "nah", "nay"})
YES = frozenset({"yes", "yeah", "yep", "yup", "yea"})

_DOUBT = vocabulary(
    "not n't never neither nor or either maybe perhaps possibly unsure uncertain unclear unknown unable cannot guess "
    "idk"
)


def words_of(text: str) -> list[str]:
    """Lower-case words and single punctuation marks, `n't` apart: "It isn't a T-shirt." → it is n't a t - shirt ."""
    text = unicodedata.normalize("NFC", text).replace("’", "'").lower()
    words: list[str] = []
    for word in _TOKEN.findall(text):
        if word.endswith("n't") and len(word) > 3:
            words += [word[:-3], "n't"]
        else:
            words.append(word)
    return words


def letters_of(words: Iterable[str]) -> list[str]:
    """The words without the punctuation marks."""
    return [word for word in words if word[0].isalnum()]


def commits(words: Iterable[str]) -> bool:
    """Whether the answer denies nothing, doubts nothing and leaves no choice open."""
    return not any(word in _DOUBT or word in NO for word in words)
