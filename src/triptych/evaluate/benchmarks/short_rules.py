"""Rules for short answers: numbers (CountBench, MathVista), and text that is read off pictures (OCRBench)."""

from __future__ import annotations

from collections.abc import Callable

from triptych.evaluate.benchmarks.choice_rules import accuracy_rule, choices_of
from triptych.evaluate.benchmarks.config import TaskFile
from triptych.evaluate.benchmarks.rule import OURS, Parsed, Rule
from triptych.evaluate.metrics.contains import contains, contains_script
from triptych.evaluate.metrics.mathvista import equal_numbers, mathvista_script
from triptych.evaluate.parsers import official, parse_count, parse_free
from triptych.evaluate.parsers.conclusion import final_text
from triptych.evaluate.parsers.options import read_option
from triptych.evaluate.parsers.quantities import read_numbers
from triptych.evaluate.tasks.question import Record


def _truths(record: Record) -> list[str]:
    return record.truth if isinstance(record.truth, list) else [record.truth]


def count_rules(_: TaskFile) -> dict[str, Rule]:
    """The very number."""

    def is_true(parse: Callable[[str], str | None]) -> Callable[[Record, str | None], bool]:
        return lambda record, parsed: parsed is not None and parsed == parse(str(record.truth))

    return {
        OURS: accuracy_rule(lambda r: parse_count(r.answer), is_true(parse_count)),
        "lmms_eval": accuracy_rule(lambda r: official.count_script(r.answer), is_true(official.count_script)),
    }


def contains_rules(_: TaskFile) -> dict[str, Rule]:
    """One of the true texts stands in the answer; formulas (HME100k) are compared without spaces."""

    def formula(record: Record) -> bool:
        return str(record.facts.get("dataset", "")) == "HME100k"

    def ours(record: Record, parsed: str | None) -> bool:
        return parsed is not None and any(contains(parsed, truth, formula(record)) for truth in _truths(record))

    def script(record: Record, _: str | None) -> bool:
        return any(contains_script(record.answer, truth, formula(record)) for truth in _truths(record))

    return {
        OURS: accuracy_rule(lambda r: parse_free(final_text(r.answer)), ours),
        "ocrbench": accuracy_rule(lambda r: parse_free(r.answer), script),
    }


def math_rules(_: TaskFile) -> dict[str, Rule]:
    """The true option, or the true numbers rounded as the truth is."""

    def precision(record: Record) -> int:
        text = str(record.facts.get("precision") or "").strip()
        return int(float(text)) if text else 0

    def ours(record: Record) -> Parsed:
        if choices := choices_of(record):
            return read_option(record.answer, choices)
        return read_numbers(record.answer, several=record.facts.get("answer_type") == "list")

    def right(record: Record, parsed: str | None) -> bool:
        if parsed is None:
            return False
        if choices_of(record):
            return parsed == record.truth
        places = precision(record) if record.facts.get("answer_type") == "float" else 0
        return equal_numbers(parsed, str(record.truth), places)

    def script(record: Record) -> str | None:
        kind = str(record.facts.get("answer_type", ""))
        return mathvista_script(record.answer, list(choices_of(record).values()), kind, precision(record))

    return {
        OURS: accuracy_rule(ours, right),
        "script": accuracy_rule(script, lambda record, parsed: parsed == str(record.facts.get("answer", record.truth))),
    }
