"""Tasks of which some questions have options: right is the true option, or a short answer that equals the true one."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import numpy as np

from triptych.evaluate.metrics.choice import choices_of
from triptych.evaluate.metrics.exact import exact_match
from triptych.evaluate.parsers import form_of, parser_of
from triptych.evaluate.parsers.conclusion import final_text
from triptych.evaluate.parsers.options import read_option
from triptych.evaluate.scoring.metric import AnswerMetric
from triptych.evaluate.scoring.rule import OURS, Parsed, Rule, share_rule
from triptych.evaluate.scoring.truths import none_given
from triptych.evaluate.tasks.question import Record


class Mixed(AnswerMetric):
    """The true option; otherwise yes or no, a number, or the same words as the true answer."""

    name = "mixed"
    source = "xAI, RealWorldQA, 2024"

    def make_rules(self) -> dict[str, Rule]:
        """Ours, and one that compares the whole answer."""

        def exact(record: Record) -> str | None:
            return record.answer.strip().rstrip(".").lower() or None

        return {
            OURS: share_rule(_read, _is_right),
            "exact": share_rule(exact, lambda record, parsed: parsed == str(record.truth).strip().lower()),
        }

    def blind(self, records: Sequence[Record]) -> dict[str, float]:
        """A die where there are options, and the commonest answer where there are none."""
        return option_or_commonest(records)

    check_truth = staticmethod(none_given)


def option_or_commonest(records: Sequence[Record]) -> dict[str, float]:
    """The accuracy of a die where there are options, and of the commonest answer where there are none."""
    free = Counter(str(record.truth) for record in records if not record.facts.get("options"))
    often = max(free.values(), default=0) / max(1, free.total())
    options = [record.facts.get("options") for record in records]
    return {"accuracy": float(np.mean([1 / len(each) if each else often for each in options]))}


def _read(record: Record) -> Parsed:
    if choices := choices_of(record):
        return read_option(record.answer, choices)
    form = form_of(str(record.truth))
    if form in ("yes_no", "count"):
        return parser_of(form)(record.answer)
    return final_text(record.answer).strip() or None


def _is_right(record: Record, parsed: str | None) -> bool:
    if parsed is None:
        return False
    if choices_of(record):
        return parsed == record.truth
    form = form_of(str(record.truth))
    if form in ("yes_no", "count"):
        return parsed == parser_of(form)(str(record.truth))
    return exact_match(parsed, str(record.truth))
