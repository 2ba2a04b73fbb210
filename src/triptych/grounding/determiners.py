"""Words in front of a noun that say how many are meant: "every", "all of the", "both", "at least two of his"."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal, TypeAlias

Kind: TypeAlias = Literal["", "every", "any", "all", "several"]

NUMBERS = ("one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve")

_WORDS = "|".join
_THE = "the|these|those|my|your|his|her|its|our|their|(?:this|that)(?! (?:is|was|has|can)\\b)"
_NUMBER = rf"(?:{_WORDS(NUMBERS[1:])}|[2-9]|[1-9][0-9]{{1,2}})"
_OF_THE = rf"(?: of)?(?: (?:{_THE})\b)?"
_END = r"(?: |$)"
_SIDES = "left|right|top|bottom|upper|lower|front|back|middle|first|last|nearest|closest|leftmost|rightmost"
_DETERMINERS = re.compile(
    rf"(?:(?:exactly|only|just|{_THE}) )?"
    rf"(?:(?:(?P<every>(?:every|each)(?: single| last)?)|(?P<any>any))(?P<every_of>(?: one)?{_OF_THE}){_END})?"
    rf"(?:all(?! the way\b)(?P<all_of>{_OF_THE}){_END})?"  # "all the way left" is an adverb
    rf"(?:(?:(?P<about>about|almost|around|nearly|over|up to|at (?:least|most)|(?:more|less|fewer) than) )?"
    rf"(?:(?:other|remaining|(?P<side>{_SIDES})) )?(?P<number>{_NUMBER}){_OF_THE}(?:(?<= the) {_NUMBER}\b)?{_END}"
    rf"|(?P<vague>both|several|some|many|most|multiple|various|numerous|few|(?:couple|number|lots?|plenty|dozens) of)"
    rf"{_OF_THE}{_END})?"
    r"(?P<named>.*)",
    re.IGNORECASE,
)
_FIRST = re.compile(rf"(?P<article>the |an? )|(?:{_THE}|all|any|both|each|every|several|{_NUMBER}) ", re.IGNORECASE)


@dataclass(frozen=True)
class Determined:
    """A phrase, its determiners read.

    Args:
        named: What stands behind the determiners.
        kind: `every` (and "each"), `any`, `all`, `several` (a number, "both", "some", …); empty where there is none of them.
        definite: Whether "of" or "the" stands behind "every", "any" or "all".
        count: How many, where that is said exactly.
    """

    named: str
    kind: Kind = ""
    definite: bool = False
    count: int | None = None


def read_determiners(text: str) -> Determined:
    """A phrase without its article, taken apart. "the left two dogs" are two of "left dogs"."""
    match = _DETERMINERS.fullmatch(text)
    if match is None:
        return Determined(text)
    named, number = match["named"], match["number"]
    if match["side"]:
        named = f"{match['side']} {named}".rstrip()
    count = None if number is None or match["about"] else _value(number)
    if match["all_of"] is not None:
        return Determined(named, "all", bool(match["all_of"]), count)
    if match["every_of"] is not None:
        return Determined(named, "every" if match["every"] else "any", bool(match["every_of"]), count)
    return Determined(named, "several" if number or match["vague"] else "", count=count)


def split_determiner(text: str) -> tuple[bool, str] | None:
    """Whether a phrase begins with an article, and what is behind that; None for a phrase without any determiner."""
    match = _FIRST.match(text)
    return None if match is None else (match["article"] is not None, text.removeprefix(match["article"] or ""))


def _value(number: str) -> int:
    return int(number) if number.isdigit() else NUMBERS.index(number.lower()) + 1
