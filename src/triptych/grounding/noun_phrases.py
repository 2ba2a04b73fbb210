"""How many things a noun phrase speaks of, and their names in the singular.

    "every one of the dogs"      every      dog
    "all the red cars"           every      red car
    "two pairs of scissors"      several    pair of scissors   (count 2)
    "people wearing hats"        several    person wearing hats
    "dogs and cats"              several    dog, cat
    "the all-terrain vehicle"    one

A grammar of determiners and head nouns, not a parser of English. The head noun is the last plural in front of the first
word that begins what stands behind a head: a preposition, "who", "wearing". What is not understood speaks of one thing.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache
from typing import Literal, TypeAlias

from triptych.grounding.determiners import read_determiners, split_determiner
from triptych.grounding.nouns import singular_of, vocabulary

Scope: TypeAlias = Literal["one", "several", "every"]

ANYTHING = "thing"
"""The name of what is not named ("both of them"): the general word that detectors trained here answer to."""

_THE = "the|these|those|my|your|his|her|its|our|their"
_ONE_OF = re.compile(rf"(?:any )?one of (?:{_THE}) (?P<named>.+)", re.IGNORECASE)
_COLLECTION = re.compile(
    r"(?:bunch|cluster|crowd|flock|group|herd|line|pack|pair|pile|row|set|stack|team) of (?P<named>.+)", re.IGNORECASE
)
_EVERYBODY = {
    **dict.fromkeys(("everyone", "everybody", "anyone", "anybody"), "person"),
    **dict.fromkeys(("everything", "anything"), ANYTHING),
}
_PRONOUNS = {"": ANYTHING, "them": ANYTHING, "it": ANYTHING, "us": "person", "you": "person"}
"""What "all", "both of them" and "every one of us" name."""

_AND = re.compile(r",? (?:and|or|&) |, ", re.IGNORECASE)

_BEHIND = vocabulary(
    "of in on at with without w w/ w/o near by behind beside besides under underneath over above below beneath from to "
    "next between among amongst along across against around inside outside for like off onto upon through toward towards "
    "into within past during after before than as that who whom whose which where when while but except not is are was were has "
    "have can"
)
"""Words that begin what stands behind a head noun."""

_WITH_OBJECT = vocabulary(
    "carrying catching chasing climbing containing crossing cutting driving eating facing feeding flying having hitting "
    "holding hugging kicking leading petting picking playing pulling pushing reading riding selling showing swinging "
    "throwing tossing touching using walking watching wearing"
)
"""Participles whose object is no head noun: "man wearing glasses"."""


@dataclass(frozen=True)
class NounPhrase:
    """What a noun phrase says.

    Args:
        text: Its words as a name for one thing, or for a group that one box surrounds.
        names: Its names for single things: without determiners, the head noun in the singular. Several for "dogs and cats".
        scope: `every`: all there are, be it one; `several`: two or more; else `one`.
        count: How many, where a number says it.
    """

    text: str
    names: tuple[str, ...]
    scope: Scope = "one"
    count: int | None = None


@lru_cache(1 << 12)
def read_noun_phrase(text: str, article: bool = False) -> NounPhrase:
    """What a noun phrase says.

    Args:
        text: The phrase without its article, in one line.
        article: Whether an article stands before it: "the all terrain vehicle" does not speak of all.
    """
    first, _, rest = text.partition(" ")
    if first.lower() in _EVERYBODY and not article:
        return NounPhrase(text, (f"{_EVERYBODY[first.lower()]} {rest}".strip(),), "every")
    if one := _ONE_OF.fullmatch(text):
        name = _singular(one["named"]) or one["named"]
        return NounPhrase(name, (name,))
    if collection := _COLLECTION.fullmatch(text):
        return NounPhrase(text, (_singular(collection["named"], strict=True) or text,))
    said = read_determiners(text)
    named = _PRONOUNS.get(said.named.lower(), said.named)
    headless = named.split()[0].lower() in _BEHIND  # "two in red"
    if headless:
        named = f"{ANYTHING} {named}"
    unnamed = headless or named != said.named
    names = _names(named)
    plural = unnamed or len(names) > 1 or _singular(named) is not None
    scope: Scope = "one"
    match said.kind:
        case "every" | "any" | "all" if article:
            names = (text,)
        case "every":
            # "every skis" names one thing as it stands, "every one of the dogs" speaks of dogs.
            names = names if said.definite or said.count or len(names) > 1 else (named,)
            scope = "every"
        case "any":
            scope = "every"
        case "all":
            # Before words without a plural it may be an adverb ("all white shirt", "all in white").
            sure = said.definite or (plural and not headless) or " " not in named
            scope = "every" if sure else "one"
        case "several":
            # "two squid", but no "two tone car"
            sure = plural or (said.count is not None and " " not in named)
            scope, names = ("several", names) if sure else ("one", (text,))
        case "":
            several = (
                not unnamed
                and first.lower() not in ("no", "zero", "0")
                and all(_is_plural(part) for part in _conjuncts(named))
            )
            scope = "several" if several else "one"
    return NounPhrase(text, names, scope, said.count)


def _names(named: str) -> tuple[str, ...]:
    """The names of a phrase without its determiner, each in the singular."""
    first, *others = _conjuncts(named)
    names = [_singular(first) or first]
    for other in others:
        article, phrase = split_determiner(other) or (False, other)
        names += read_noun_phrase(phrase, article).names
    return tuple(dict.fromkeys(names))


def _conjuncts(named: str) -> list[str]:
    """ "dogs" and "cats" of "dogs and cats"; "black and white cats" and "salt and pepper shakers" are whole."""
    words = named.split()
    end = _end(words)
    parts = _AND.split(" ".join(words[:end]))
    each_plural = all(_singular(part) is not None for part in parts)
    if len(parts) < 2 or not (each_plural or all(split_determiner(part) for part in parts[1:])):
        return [named]
    parts[-1] = " ".join([parts[-1], *words[end:]])
    return parts


def _end(words: list[str]) -> int:
    """Where what stands behind the head noun begins."""
    plural = False
    for i, word in enumerate(words):
        lower = word.lower()
        # "people sitting", "boys playing cards"; but "parking meters", "playing cards"
        participle = lower.endswith("ing") and (plural or lower in _WITH_OBJECT)
        if i and (lower in _BEHIND or participle):
            return i
        plural = (plural or singular_of(word) is not None) and lower not in ("and", "or", "&")
    return len(words)


def _singular(named: str, strict: bool = False) -> str | None:
    """The name with its head noun in the singular; None where none is a plural.

    Args:
        named: Without determiners.
        strict: Whether a noun that is the same in both numbers is no plural.
    """
    words = named.split()
    for i in reversed(range(_end(words))):
        singular = ANYTHING if words[i].lower() == "ones" else singular_of(words[i])
        if singular is not None and not (strict and singular == words[i]):
            return " ".join([*words[:i], singular, *words[i + 1 :]])
    return None


def _is_plural(named: str) -> bool:
    """Whether a phrase without a quantifier speaks of several: its head is a plural and the last word of it."""
    words = named.split()
    return _singular(" ".join(words[: _end(words)][-1:]), strict=True) is not None
