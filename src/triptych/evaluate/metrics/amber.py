"""AMBER: what a description makes up and what it covers, and yes-or-no questions scored for the class "no".

J. Wang et al., "AMBER", 2023. A description's words that are on the benchmark's list of things are matched with what is
annotated as there and as likely to be made up. The script also takes a word for another where spaCy's vectors say they
are alike (> 0.8); here only the benchmark's own association lists do that, so words off these lists count as made up.

The questions' precision, recall and F1 are of "no": the claim that something is *not* there. The script compares with
"Yes" and "No" as exact strings, so "No." is wrong and is no "no"; it rounds precision and recall to a tenth of a
percent and adds 0.0001 to the denominator of F1 (`parity/official/ours.py` does the same).
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from triptych.evaluate.metrics.tallies import ratio

COLUMNS = 9
_WORD = re.compile(r"[^\W\d_]+")


def amber_words(text: str, things: Mapping[str, Sequence[str]]) -> list[str]:
    """The things a description mentions: words, or their singular, that are on the association lists."""
    known = set(things).union(*things.values()) if things else set()
    found = []
    for match in _WORD.finditer(text.lower()):
        word = match.group()
        forms = (word, word.removesuffix("s"), word.removesuffix("es"), re.sub("ies$", "y", word))
        if form := next((form for form in forms if form in known), None):
            found.append(form)
    return found


def amber_row(
    words: Sequence[str],
    there: Sequence[str],
    likely: Sequence[str],
    things: Mapping[str, Sequence[str]],
    harmless: Sequence[str] = (),
) -> NDArray[np.float64]:
    """What one description adds: a row `[COLUMNS]`.

    Args:
        words: The things it mentions.
        there: What is annotated as in the picture.
        likely: What is annotated as likely to be made up.
        things: Association lists: a thing → other words for it.
        harmless: Words that never count.
    """

    def of(word: str, annotated: Sequence[str]) -> str | None:
        return next((thing for thing in annotated if word == thing or word in things.get(thing, ())), None)

    counted = [word for word in words if word not in harmless]
    covered = {thing for word in counted if (thing := of(word, there))}
    strangers = [word for word in counted if of(word, there) is None]
    guessed = {thing for word in strangers if (thing := of(word, likely))}
    row = [len(words), len(strangers), len(there), len(covered), len(likely), len(guessed), 1, bool(strangers)]
    row.append(len(set(strangers)))
    return np.array(row, dtype=np.float64)


def amber_scores(sums: NDArray[np.float64]) -> dict[str, NDArray[np.float64]]:
    """`chair`, `cover`, `hal`, `cog` and `object_f1` (each thing counted once a text), of summed rows `[..., COLUMNS]`."""
    words, strangers, there, covered, likely, guessed, texts, wrong, made_up = np.moveaxis(sums, -1, 0)
    return {
        "chair": ratio(strangers, words),
        "cover": ratio(covered, there),
        "hal": ratio(wrong, texts),
        "cog": ratio(guessed, likely),
        "object_f1": ratio(2 * covered, covered + made_up + there, empty=0.0),
    }
