"""Answers to questions of mathematics: the true option, or numbers that are rounded as the true answer is."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import ClassVar

from triptych.evaluate.benchmarks.items import Item
from triptych.evaluate.metrics.anls import levenshtein
from triptych.evaluate.metrics.choice import choices_of
from triptych.evaluate.metrics.mixed import option_or_commonest
from triptych.evaluate.parsers.options import read_option
from triptych.evaluate.parsers.quantities import numbers_in, read_numbers
from triptych.evaluate.scoring.metric import AnswerMetric
from triptych.evaluate.scoring.rule import OURS, Parsed, Rule, share_rule
from triptych.evaluate.tasks.question import Record


class Math(AnswerMetric):
    """The true option, or the true numbers rounded as the truth is."""

    name = "math"
    source = "P. Lu et al., MathVista, ICLR 2024"
    official: ClassVar[Mapping[str, str]] = {
        "script": "github.com/lupantech/MathVista, evaluation, with the answer as it is written in place of GPT-4's extraction"
    }

    def make_rules(self) -> dict[str, Rule]:
        """Ours, and the authors' script."""

        def script(record: Record) -> str | None:
            kind = str(record.facts.get("answer_type", ""))
            return mathvista_script(record.answer, list(choices_of(record).values()), kind, _places(record))

        return {
            OURS: share_rule(_read, _is_right),
            "script": share_rule(script, lambda r, parsed: parsed == str(r.facts.get("answer", r.truth))),
        }

    def blind(self, records: Sequence[Record]) -> dict[str, float]:
        """A die where there are options, and the commonest answer where there are none."""
        return option_or_commonest(records)

    def check_truth(self, item: Item) -> str | None:
        """Without options, the truth must be a number, and its precision a number of decimals."""
        if item.options:
            return None
        precision = str(item.facts.get("precision") or "0").strip()
        if not precision.replace(".0", "").isdigit():
            return f"the precision is no number of decimals: {precision[:80]!r}"
        return None if numbers_in(str(item.truth)) else f"the true answer is no number: {str(item.truth)[:80]!r}"


def _places(record: Record) -> int:
    text = str(record.facts.get("precision") or "").strip()
    return int(float(text)) if text else 0


def _read(record: Record) -> Parsed:
    if choices := choices_of(record):
        return read_option(record.answer, choices)
    return read_numbers(record.answer, several=record.facts.get("answer_type") == "list")


def _is_right(record: Record, parsed: str | None) -> bool:
    if parsed is None:
        return False
    if choices_of(record):
        return parsed == record.truth
    return equal_numbers(
        parsed, str(record.truth), _places(record) if record.facts.get("answer_type") == "float" else 0
    )


def equal_numbers(parsed: str, truth: str, precision: int) -> bool:
    """Whether numbers are those of the truth, rounded to its places; a whole number must be one."""
    reply, true = numbers_in(parsed), numbers_in(truth)
    if not true or len(reply) != len(true):
        return False
    if precision:
        return all(round(a, precision) == round(b, precision) for a, b in zip(reply, true, strict=True))
    return reply == true


def mathvista_script(answer: str, choices: Sequence[str], answer_type: str, precision: int) -> str | None:
    """The answer as the authors' script normalises it, of the words as they are written: GPT-4, which takes the answer out of them, is left out.

    An answer that names no option becomes the option with the fewest different letters, even where it says nothing.
    """
    reply = answer
    if reply not in choices and (quoted := re.search(r'The answer is "(.*)"\.', reply)):
        reply = quoted.group(1)
    if choices:
        reply = reply.strip()
        if letters := re.findall(r"\(([a-zA-Z])\)", reply):
            reply = letters[0].upper()
        place = ord(reply) - ord("A") if len(reply) == 1 else -1
        if 0 <= place < len(choices):
            return choices[place]
        distances = [levenshtein(reply, choice) for choice in choices]
        return choices[distances.index(min(distances))]
    try:
        if answer_type == "integer":
            return str(int(float(reply)))
        if answer_type == "float":
            return str(round(float(reply), precision))
    except (ValueError, OverflowError):
        return None
    return reply
