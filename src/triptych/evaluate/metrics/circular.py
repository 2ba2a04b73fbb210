"""CircularEval: a choice question is right only if it is right under every rotation of its options."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from triptych.evaluate.benchmarks.items import LETTERS, Item
from triptych.evaluate.metrics.choice import Choice, options_of
from triptych.evaluate.scoring.bootstrap import Tally
from triptych.evaluate.scoring.rule import Rule, cluster
from triptych.evaluate.scoring.tallies import ratio, tally_by
from triptych.evaluate.tasks.question import Record


class Circular(Choice):
    """Accuracy under every rotation, under the first, and over all questions."""

    name = "circular"
    source = "Y. Liu et al., MMBench, ECCV 2024"

    def make_rules(self) -> dict[str, Rule]:
        """Those of `choice`, scored by groups of rotations."""
        return {name: Rule(rule.judge, _tally) for name, rule in super().make_rules().items()}

    def variants(self, item: Item) -> Iterator[Item]:
        """The question under every rotation of its options."""
        count = len(item.options)
        letters = item.letters or LETTERS
        right = letters.index(str(item.truth))
        for shift in range(count):
            options = item.options[shift:] + item.options[:shift]
            facts = {**item.facts, "group": item.id, "rotation": shift}
            letter = letters[(right - shift) % count]
            yield replace(item, id=f"{item.id}/{shift}", options=options, truth=letter, facts=facts)

    def blind(self, records: Sequence[Record]) -> dict[str, float]:
        """A die that is thrown for every rotation."""
        everywhere = float(np.mean([options_of(record) ** -options_of(record) for record in records]))
        return super().blind(records) | {"circular_accuracy": everywhere}


def _tally(records: Sequence[Record]) -> Tally:
    return tally_by(records, cluster, _row, _scores, kind=lambda record: record.kind)


def _row(records: Sequence[Record]) -> NDArray[np.float64]:
    right = [bool(record.correct) for record in records]
    first = next((bool(r.correct) for r in records if r.facts.get("rotation", 0) == 0), right[0])
    return np.array([1, all(right), first, len(right), sum(right)], dtype=np.float64)


def _scores(sums: NDArray[np.float64]) -> dict[str, NDArray[np.float64]]:
    return {
        "circular_accuracy": ratio(sums[..., 1], sums[..., 0]),
        "first_pass_accuracy": ratio(sums[..., 2], sums[..., 0]),
        "accuracy": ratio(sums[..., 4], sums[..., 3]),
    }
