"""Reading which of a list of names an answer names."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

from triptych.evaluate.parsers.conclusion import conclude
from triptych.evaluate.parsers.words import commits, letters_of, vocabulary, words_of

Spelling = tuple[str, ...]

_BEFORE = vocabulary(
    "a an the this that these those there here it it's that's there's is are was were be am i we you they he she see "
    "sees show shows showing depict depicts contain contains has have with of answer called named one single two three "
    "four five six some several both"
)
_AFTER = vocabulary(
    "is are was were in on at to of from near next beside above below under over which that located placed standing "
    "sitting left right top bottom upper lower middle center centre here there"
)
"""Words that may touch a name without being part of it; any other word beside it may make it another name."""


def name_parser(names: Iterable[str]) -> Callable[[str], str | None]:
    """A parser of answers that are one of `names`; the canonical form is the name as given.

    Articles, case, punctuation and plural do not matter. A name counts only where it stands by itself: with "bear" and
    "dog" allowed, "There is a bear." is a bear, while "teddy bear", "dog house", "a bear and a dog" are unparsed.
    """
    spellings = _spellings(list(names))
    longest = max((len(spelling) for spelling in spellings), default=0)

    def parse(text: str) -> str | None:
        words = [word for word in words_of(text) if word != "-"]
        # The whole answer first: names may hold words that would otherwise take an answer back ("no entry").
        if (spelling := tuple(letters_of(words))) in spellings:
            return spellings[spelling]
        if not commits(words) or "and" in words or "&" in words:
            return None
        found: set[str | None] = set()
        position = 0
        while position < len(words):
            lengths = range(min(longest, len(words) - position), 0, -1)
            length = next((n for n in lengths if tuple(words[position : position + n]) in spellings), 0)
            if length:
                end = position + length
                clear = _may_touch(words[position - 1 : position], _BEFORE) and _may_touch(words[end : end + 1], _AFTER)
                found.add(spellings[tuple(words[position:end])] if clear else None)
            position += length or 1
        return found.pop() if len(found) == 1 else None

    return lambda text: conclude(text, parse)


def _may_touch(neighbour: list[str], allowed: frozenset[str]) -> bool:
    return not neighbour or neighbour[0] in allowed or not neighbour[0].isalnum()


def _spellings(names: list[str]) -> dict[Spelling, str | None]:
    """Each name, and its singular or plural; a form that two names share belongs to neither (`None`)."""
    exact = {tuple(letters_of(words_of(name))): name for name in reversed(names)}
    exact.pop((), None)
    inflected: dict[Spelling, str | None] = {}
    for spelling, name in exact.items():
        for form in _inflections(spelling):
            inflected[form] = name if inflected.get(form, name) == name else None
    return {**inflected, **exact}


_IRREGULAR = {
    "man": "men",
    "woman": "women",
    "child": "children",
    "person": "people",
    "mouse": "mice",
    "goose": "geese",
    "foot": "feet",
    "tooth": "teeth",
    "ox": "oxen",
    "die": "dice",
    "cactus": "cacti",
}
_IRREGULAR_BACK = {plural: singular for singular, plural in _IRREGULAR.items()}


def _inflections(spelling: Spelling) -> Iterator[Spelling]:
    """The name with its last word in plural, and, where it may be a plural, in singular."""
    *first, last = spelling
    for form in (*_plurals(last), *_singulars(last)):
        yield (*first, form)


def _plurals(word: str) -> Iterator[str]:
    hisses = word.endswith(("s", "x", "z", "ch", "sh"))
    if word in _IRREGULAR:
        yield _IRREGULAR[word]
    if hisses or word.endswith("o"):
        yield word + "es"
    if word.endswith("y") and word[-2:-1] not in tuple("aeiou"):
        yield word[:-1] + "ies"
    if word.endswith("f"):
        yield word[:-1] + "ves"
    if word.endswith("fe"):
        yield word[:-2] + "ves"
    if not hisses:
        yield word + "s"


def _singulars(word: str) -> Iterator[str]:
    if word in _IRREGULAR_BACK:
        yield _IRREGULAR_BACK[word]
    for singular in (word[:-1], word[:-2], word[:-3] + "y", word[:-3] + "f", word[:-3] + "fe"):
        if len(singular) > 1 and word in _plurals(singular):
            yield singular
