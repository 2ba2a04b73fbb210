"""Reading "yes" and "no"."""

from __future__ import annotations

from triptych.evaluate.parsers.words import NO, YES, commits, letters_of, vocabulary, words_of

_LEAD = vocabulary("answer the is it well oh so i think say would")
"""What may stand before the word without changing it: "The answer is yes."."""

_NO_ANSWER = vocabulary("tell say know sure certain determine idea clue opinion maybe perhaps possibly or")
"""After "no", these make it something else than the answer: "No idea.", "No way to tell", "No or maybe"."""

_PHRASES = vocabulary("doubt matter problem way")
"""Directly after "no", these do the same: "No doubt"."""


def parse_yes_no(text: str) -> str | None:
    """`yes` or `no`, if the answer begins with one and does not go on to say the other.

    "No, there is no dog." is `no`. "Yes and no", "There is a dog.", "not sure" and "No idea." are unparsed: what they
    mean depends on the question, or on nothing.
    """
    words = letters_of(words_of(text))
    said = next((i for i, word in enumerate(words) if word in YES or word in NO), None)
    if said is None or any(word not in _LEAD for word in words[:said]):
        return None
    after = words[said + 1 :]
    if words[said] in YES:
        return "yes" if commits(after) else None
    takes_back = any(word in YES or word in _NO_ANSWER for word in after) or (after and after[0] in _PHRASES)
    return None if takes_back else "no"
