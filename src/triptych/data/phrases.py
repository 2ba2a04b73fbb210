"""The words of a caption that name something to see."""

from __future__ import annotations

import re
from collections.abc import Iterable

_WORD = re.compile(r"[a-z]+(?:[-'][a-z]+)*")

FUNCTION_WORDS = frozenset(
    """a about above across after against all along also am among an and another any are around as at away back be
    because been before behind being below beside between both but by can could did do does doing down each either
    every few for from front had has have having he her hers him his how i if in inside into is it its itself just like
    many me more most much my near next no nor not of off on one only onto or other our out outside over own past
    several she side so some something such than that the their them then there these they this those through to
    together too toward towards two under until up upon us very was way we were what when where which while who whom
    with within without you your""".split()  # noqa: SIM905 (a list of quoted words would be unreadable)
)
"""English words that point at nothing in a picture."""


def content_words(captions: Iterable[str]) -> tuple[str, ...]:
    """The distinct words of captions that are no function words, in lower case, sorted."""
    words = {word for caption in captions for word in _WORD.findall(caption.lower())}
    return tuple(sorted(word for word in words if len(word) > 2 and word not in FUNCTION_WORDS))
