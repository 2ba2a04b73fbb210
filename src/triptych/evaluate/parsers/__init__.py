"""What an answer says, read by pure functions: text → canonical answer, or `None` when it cannot be told.

The parsers are tolerant of form (case, articles, punctuation, whole sentences, plural, digits or words) and never
guess: an answer that contradicts itself, names two things, doubts or denies is *unparsed*, a class of its own in every
score. Truths go through the same parsers as answers, so both are compared in canonical form.
"""

from triptych.evaluate.parsers.forms import Form, Parser, form_of, parse_free, parser_of
from triptych.evaluate.parsers.names import name_parser
from triptych.evaluate.parsers.numbers import parse_count
from triptych.evaluate.parsers.places import parse_place, parse_relation
from triptych.evaluate.parsers.yes_no import parse_yes_no

__all__ = [
    "Form",
    "Parser",
    "form_of",
    "name_parser",
    "parse_count",
    "parse_free",
    "parse_place",
    "parse_relation",
    "parse_yes_no",
    "parser_of",
]
