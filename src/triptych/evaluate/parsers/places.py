"""Reading where a thing is: in the picture, or beside another thing."""

from __future__ import annotations

import re
from collections.abc import Sequence

from triptych.evaluate.parsers.conclusion import conclude
from triptych.evaluate.parsers.words import commits, vocabulary, words_of

_VERTICAL = {"top": "top", "upper": "top", "uppermost": "top", "bottom": "bottom", "lower": "bottom"}
_HORIZONTAL = {"left": "left", "leftmost": "left", "right": "right", "rightmost": "right"}
_CENTRE = frozenset({"center", "centre", "middle", "central", "mid"})
_GLUE = vocabulary("in on at to of and the a side corner part half area region edge hand - ,")
"""Words that may stand between the two words of one place: "at the top, on the left"."""

_RELATIONS = {
    "left": "left",
    "right": "right",
    "above": "above",
    "over": "above",
    "higher": "above",
    "below": "below",
    "under": "below",
    "beneath": "below",
    "underneath": "below",
    "lower": "below",
}

PLACE_WORDS = frozenset({*_VERTICAL, *_HORIZONTAL, *_CENTRE, *_GLUE})
RELATION_WORDS = frozenset({*_RELATIONS, "to", "the", "of", "on", "top"})
"""All that a bare answer of these forms consists of."""

_NOT_A_SIDE = re.compile(
    r"\bright (?=(?:in|at|on|here|there|above|below|under|over|beneath|underneath)\b)|\b(?:all|that's|that is) right\b"
)
"""Where "right" says nothing about a side: "right in the middle", "all right"."""


def parse_place(text: str) -> str | None:
    """One of the nine places of a picture: `top left`, `top`, `top right`, `left`, `center`, …, `bottom right`.

    Synonyms: upper, lower, centre, middle, "top-left corner", "at the top, on the left". Two places are unparsed.
    """
    return conclude(text, _one_place)


def _one_place(text: str) -> str | None:
    words = words_of(_NOT_A_SIDE.sub(" ", text.lower()))
    if not commits(words):
        return None
    groups: list[list[str]] = []
    apart = True
    for word in words:
        if word in _VERTICAL or word in _HORIZONTAL or word in _CENTRE:
            if apart:
                groups.append([])
            groups[-1].append(word)
            apart = False
        elif word not in _GLUE:
            apart = True
    found = {_place(group) for group in groups}
    return found.pop() if len(found) == 1 else None


def parse_relation(text: str) -> str | None:
    """How one thing lies to another: `left`, `right`, `above` or `below`.

    Synonyms: over, on top of, higher; under, beneath, underneath, lower. Two directions are unparsed.
    """
    return conclude(text, _one_relation)


def _one_relation(text: str) -> str | None:
    words = words_of(re.sub(r"\bon top of\b", " above ", _NOT_A_SIDE.sub(" ", text.lower())))
    if not commits(words) or any(word in ("top", "upper", "bottom") or word in _CENTRE for word in words):
        return None
    found = {_RELATIONS[word] for word in words if word in _RELATIONS}
    return found.pop() if len(found) == 1 else None


def _place(group: Sequence[str]) -> str | None:
    vertical = {_VERTICAL[word] for word in group if word in _VERTICAL}
    horizontal = {_HORIZONTAL[word] for word in group if word in _HORIZONTAL}
    if len(vertical) > 1 or len(horizontal) > 1:
        return None
    return " ".join([*vertical, *horizontal]) or "center"
