"""From an expression to the call that means it: what a detector looks for, and which of the boxes are chosen.

    expression                         truth     caption           select
    "the second dog from the left"     1 box     dog               second from the left
    "every dog"                        any       dog               all
    "all the red cars on the left"     any       red car           all on the left
    "the two people"                   2 boxes   person            two
    "the two people"                   1 box     two people        best       (a box around both)
    "dog"                              2 boxes   dog               all

What is written never contradicts the boxes that are known to be true: `select` admits as many as there are, and a place
that they do not lie in stays with the name, as words for the detector.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from triptych.conversation import Region
from triptych.grounding.noun_phrases import NounPhrase, read_noun_phrase
from triptych.grounding.select import EXTREMES, NUMBERS, ORDINALS, RELATIONS, place_of, read_selector, third

_WORDS = "|".join
_EXPRESSION = re.compile(
    rf"(?P<article>the |an? )?(?P<head>[^.;]+?)"
    rf"(?P<behind> (?:(?:{_WORDS(RELATIONS)}) .+|(?:at|in|on) the [a-z ]+|from the [a-z]+))?",
    re.IGNORECASE,
)


def write_call_of(expression: str, regions: Sequence[Region] | None = None) -> tuple[str, str]:
    """Caption and rule of an expression; the whole of it and "best" of one that is not understood.

    Dots are left out of names: in a caption they stand between two (`Call.phrases`).

    Args:
        expression: "the two dogs", "every person on the left", …
        regions: What it refers to, where that is known; none of them for what is not in the picture.
    """
    text = undotted(expression).strip(" !?,:")
    match = _EXPRESSION.fullmatch(text)
    article, head, behind = match.group("article", "head", "behind") if match else (None, text, None)
    count = len(regions) if regions else None
    ordered = _in_order(head, (behind or "").strip())
    if ordered is not None and (count == 1 or (count is None and read_noun_phrase(ordered[0]).scope == "one")):
        return ordered
    rule = _rule((behind or "").strip(), regions)
    phrase = read_noun_phrase(head if rule else f"{head}{behind or ''}", bool(article))
    # One box for several things is a box around them; one for "every dog" is that of the only dog.
    if (count or 0) > 1 or phrase.scope == "every" or (phrase.scope == "several" and count is None):
        return ". ".join(phrase.names), f"{_amount(phrase, count)} {rule}".strip()
    if count is None and len(phrase.names) > 1:  # "the dog and the cat": the best of each
        return ". ".join(phrase.names), rule or "best"
    return phrase.text, rule or "best"


def undotted(name: str) -> str:
    """A name without dots, in one line."""
    return " ".join(name.replace(".", " ").split())


def _in_order(head: str, behind: str) -> tuple[str, str] | None:
    """Caption and rule of "leftmost dog" and "second dog", "from the left"."""
    first, _, rest = head.partition(" ")
    if rest and first.lower() in EXTREMES and not behind:
        return rest, first.lower()
    if rest and first.lower() in ORDINALS and behind.startswith("from the "):
        return rest, f"{first.lower()} {behind}"
    return None


def _rule(words: str, regions: Sequence[Region] | None) -> str:
    """The rule that words behind a name say; nothing where they say none, or one that the true boxes do not follow."""
    selector = read_selector(words) if words else None
    if selector is None:
        return ""
    if selector.place:
        place = place_of(selector.place)
        return words if all((third(one, 1), third(one, 0)) == place for one in regions or ()) else ""
    other = read_noun_phrase(selector.other) if selector.other else None
    if other and other.scope != "one" and len(other.names) == 1:  # a detector looks for the other thing, too
        return words.removesuffix(selector.other) + other.names[0]
    return words


def _amount(phrase: NounPhrase, count: int | None) -> str:
    """The number that a phrase says, where a rule can say it and the boxes agree; else "all"."""
    if (
        phrase.count is None
        or phrase.count > len(NUMBERS)
        or len(phrase.names) > 1
        or count not in (None, phrase.count)
    ):
        return "all"
    return NUMBERS[phrase.count - 1]
