"""Made-up words: pronounceable, deterministic, and other ones for each split.

A word is two syllables of five letters (*dovax*, *mibug*). All words have one length and no split shares one with another, so
no word of one split is part of a text made with the words of another, and neither are its tokens.
"""

from __future__ import annotations

import hashlib
import itertools
from functools import cache

from triptych.scenes.things import all_things

ONSETS = "bdfgklmnprstvwz"
VOWELS = "aeiou"
CODAS = "bgkpxz"

REAL = frozenset(
    """bedub debug dewax fedex gazip kebab kopek latex murex pulex recap relax remap remix rewax setup telex topaz tulip
    unzip""".split()  # noqa: SIM905 (a list of quoted words would be unreadable)
)
"""Words of this form that mean something."""

UNWANTED = frozenset(
    "dik fag fuc fuk god kok kuk nazi neg nig pub rap sex suk tard tit".split()  # noqa: SIM905
)
"""Nothing made up should remind of these."""


@cache
def made_up(split: str) -> tuple[str, ...]:
    """The words of a split (`train`, `validation`, `test`), in an order of their own; some 26,000, 3,000 and 3,000.

    Which split a word belongs to is decided by a hash of the word alone.
    """
    named = " ".join(f"{thing.name} {thing.plural}" for thing in all_things()).lower()
    words = ("".join(letters) for letters in itertools.product(ONSETS, VOWELS, ONSETS, VOWELS, CODAS))
    good = (w for w in words if w not in REAL and w not in named and not any(part in w for part in UNWANTED))
    return tuple(sorted((word for word in good if _split(word) == split), key=_hash))


def _split(word: str) -> str:
    tenth = _hash(word) % 10
    return "test" if tenth == 0 else "validation" if tenth == 1 else "train"


def _hash(word: str) -> int:
    return int.from_bytes(hashlib.sha256(f"word/{word}".encode()).digest()[:8], "big")
