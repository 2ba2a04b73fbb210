"""Counting: the very number (CountBench)."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import ClassVar

from triptych.evaluate.benchmarks.items import Item
from triptych.evaluate.parsers import official, parse_count
from triptych.evaluate.scoring.metric import AnswerMetric
from triptych.evaluate.scoring.rule import OURS, Rule, share_rule


class Count(AnswerMetric):
    """Whether the answer is the true number."""

    name = "count"
    source = "R. Paiss et al., Teaching CLIP to count to ten, ICCV 2023"
    official: ClassVar[Mapping[str, str]] = {"lmms_eval": "lmms-eval's CountBench"}

    def make_rules(self) -> dict[str, Rule]:
        """Ours, and lmms-eval's, which compares the whole answer."""

        def rule(parse: Callable[[str], str | None]) -> Rule:
            return share_rule(
                lambda record: parse(record.answer),
                lambda record, parsed: parsed is not None and parsed == parse(str(record.truth)),
            )

        return {OURS: rule(parse_count), "lmms_eval": rule(official.count_script)}

    def check_truth(self, item: Item) -> str | None:
        """It must be a number."""
        if parse_count(str(item.truth)) is not None:
            return None
        return f"the true answer is no count: {str(item.truth)[:80]!r}"
