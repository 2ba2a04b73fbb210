"""Rules for questions with options: choice, circular evaluation, and tasks of which some questions have options."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from triptych.evaluate.benchmarks.config import TaskFile
from triptych.evaluate.benchmarks.items import LETTERS
from triptych.evaluate.benchmarks.rule import OURS, Parsed, Rule, rule_of
from triptych.evaluate.metrics.bootstrap import Tally
from triptych.evaluate.metrics.exact import exact_match
from triptych.evaluate.metrics.tallies import means, ratio, tally_by
from triptych.evaluate.parsers import form_of, official, parser_of
from triptych.evaluate.parsers.conclusion import final_text
from triptych.evaluate.parsers.options import read_option
from triptych.evaluate.tasks.question import Record


def choices_of(record: Record) -> dict[str, str]:
    """The options of a record by letter; none where it is no choice question."""
    return dict(zip(record.facts.get("letters") or LETTERS, record.facts.get("options", ()), strict=False))


def accuracy_rule(parse: Callable[[Record], Parsed], right: Callable[[Record, str | None], bool | float]) -> Rule:
    """A rule whose score is the share of records that are right."""
    return rule_of(parse, right, *means({"accuracy": lambda record: float(record.correct)}))


def _is_true(record: Record, parsed: str | None) -> bool:
    return parsed is not None and parsed == record.truth


def choice_rules(_: TaskFile) -> dict[str, Rule]:
    """Right is the letter of the true option."""

    def rule(parse: Callable[[Record], Parsed]) -> Rule:
        return accuracy_rule(parse, _is_true)

    return {
        OURS: rule(lambda r: read_option(r.answer, choices_of(r))),
        "scienceqa": rule(lambda r: official.scienceqa_letter(r.answer)),
        "seed": rule(lambda r: official.first_character(r.answer)),
        "ai2d": rule(lambda r: official.leading_letter(r.answer)),
        "mmmu": rule(lambda r: official.mmmu_letter(r.answer, choices_of(r))),
        "mmmu_pro": rule(lambda r: official.mmmu_pro_letter(r.answer, choices_of(r))),
        "mmbench": rule(lambda r: official.mmbench_letter(r.answer, choices_of(r))),
        "mmstar": rule(lambda r: official.mmstar_letter(r.answer)),
        "lmms_eval": rule(lambda r: official.blink_letter(r.answer, choices_of(r))),
    }


def circular_rules(task: TaskFile) -> dict[str, Rule]:
    """Right only if right under every rotation of the options."""

    def row(records: Sequence[Record]) -> NDArray[np.float64]:
        right = [bool(record.correct) for record in records]
        first = next((bool(r.correct) for r in records if r.facts.get("rotation", 0) == 0), right[0])
        return np.array([1, all(right), first, len(right), sum(right)], dtype=np.float64)

    def score(sums: NDArray[np.float64]) -> dict[str, NDArray[np.float64]]:
        return {
            "circular_accuracy": ratio(sums[..., 1], sums[..., 0]),
            "first_pass_accuracy": ratio(sums[..., 2], sums[..., 0]),
            "accuracy": ratio(sums[..., 4], sums[..., 3]),
        }

    from triptych.evaluate.benchmarks.rule import cluster

    def tally(records: Sequence[Record]) -> Tally:
        return tally_by(records, cluster, row, score, kind=lambda record: record.kind)

    return {name: Rule(rule.judge, tally) for name, rule in choice_rules(task).items()}


def mixed_rules(_: TaskFile) -> dict[str, Rule]:
    """The true option where there are options; otherwise yes or no, a number, or the same words as the true answer."""

    def ours(record: Record) -> Parsed:
        if choices := choices_of(record):
            return read_option(record.answer, choices)
        form = form_of(str(record.truth))
        if form in ("yes_no", "count"):
            return parser_of(form)(record.answer)
        return final_text(record.answer).strip() or None

    def right(record: Record, parsed: str | None) -> bool:
        if parsed is None:
            return False
        if choices_of(record):
            return parsed == record.truth
        form = form_of(str(record.truth))
        if form in ("yes_no", "count"):
            return parsed == parser_of(form)(str(record.truth))
        return exact_match(parsed, str(record.truth))

    def exact(record: Record) -> str | None:
        return record.answer.strip().rstrip(".").lower() or None

    return {
        OURS: accuracy_rule(ours, right),
        "exact": accuracy_rule(exact, lambda record, parsed: parsed == str(record.truth).strip().lower()),
    }
