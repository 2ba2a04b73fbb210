"""The forms that answers have, and the parser of each."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Literal

from triptych.evaluate.parsers.names import name_parser
from triptych.evaluate.parsers.numbers import parse_count
from triptych.evaluate.parsers.places import PLACE_WORDS, RELATION_WORDS, parse_place, parse_relation
from triptych.evaluate.parsers.words import words_of
from triptych.evaluate.parsers.yes_no import parse_yes_no

Form = Literal["yes_no", "count", "place", "relation", "name", "free"]
Parser = Callable[[str], str | None]


def parse_free(text: str) -> str | None:
    """The text itself with its white space tidied; unparsed only when there is none."""
    return " ".join(text.split()) or None


def parser_of(form: Form, names: Iterable[str] = ()) -> Parser:
    """The parser of a form; `names` are the allowed answers of the form `name`."""
    match form:
        case "yes_no":
            return parse_yes_no
        case "count":
            return parse_count
        case "place":
            return parse_place
        case "relation":
            return parse_relation
        case "name":
            return name_parser(names)
        case "free":
            return parse_free


def form_of(truth: str) -> Form:
    """The form of a true answer that nothing else is known about.

    >>> [form_of(truth) for truth in ("yes", "3", "top left", "above", "top hat")]
    ['yes_no', 'count', 'place', 'relation', 'name']
    """
    words = set(words_of(truth))
    if parse_yes_no(truth) is not None:
        return "yes_no"
    if parse_count(truth) is not None and len(words) == 1:
        return "count"
    if parse_place(truth) is not None and words <= PLACE_WORDS:
        return "place"
    if parse_relation(truth) is not None and words <= RELATION_WORDS:
        return "relation"
    return "name"
