"""What a rule is: how one record is judged, and what the scores of judged records are made of."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from triptych.evaluate.metrics.bootstrap import Score, Tally
from triptych.evaluate.metrics.tallies import ratio, tally_by
from triptych.evaluate.parsers.unread import Unread
from triptych.evaluate.tasks.question import Record

OURS = "triptych"
"""The name of our own rule in every task."""

Parsed = str | Unread | None
"""An answer in canonical form; or that it cannot be read, and why."""

Row = Callable[[Sequence[Record]], NDArray[np.float64]]


@dataclass(frozen=True)
class Rule:
    """How one record is judged, and what the scores of judged records are made of."""

    judge: Callable[[Record], Record]
    tally: Callable[[Sequence[Record]], Tally]


def cluster(record: Record) -> Hashable:
    """What is resampled together: the questions of one group or picture."""
    found: Hashable = record.facts.get("group", record.facts.get("picture", record.sample))
    return found


def rule_of(
    parse: Callable[[Record], Parsed],
    right: Callable[[Record, str | None], bool | float],
    row: Row,
    score: Score,
) -> Rule:
    """A rule that reads each answer by itself, and sums a cluster's records by `row`.

    Args:
        parse: A record's answer in canonical form; `None` is unparsed, and so is `Unread`, which says why.
        right: Whether, or how well, that answers the question.
        row: The sums of a cluster's judged records.
        score: Scores of summed rows.
    """

    def judge(record: Record) -> Record:
        if record.error is not None:
            return replace(record, parsed=None, correct=0.0, reason=None)
        read = parse(record)
        parsed, reason = (None, read.reason) if isinstance(read, Unread) else (read, None)
        return replace(record, parsed=parsed, correct=right(record, parsed), reason=reason)

    return Rule(judge, lambda records: tally_by(records, cluster, row, score, kind=lambda record: record.kind))


MEAN_OF_KINDS = "mean_of_kinds"
"""The mean of the accuracies of the kinds of questions, each counting the same."""


def mean_of_kinds(rule: Rule) -> Rule:
    """The rule with one more score, `mean_of_kinds`."""

    def tally(records: Sequence[Record]) -> Tally:
        made = rule.tally(records)
        kinds = list(dict.fromkeys(record.kind for record in records))

        def score(sums: NDArray[np.float64]) -> dict[str, NDArray[np.float64]]:
            found = made.score(sums)
            names = [f"{kind}_accuracy" for kind in kinds] if len(kinds) > 1 else ["accuracy"]
            each = np.stack([found[name] for name in names], axis=-1)
            there = ~np.isnan(each)  # a draw of the bootstrap may leave a kind out
            mean = ratio(np.where(there, each, 0.0).sum(axis=-1), there.sum(axis=-1).astype(np.float64))
            return {**found, MEAN_OF_KINDS: mean}

        return replace(made, score=score, counts={**made.counts, MEAN_OF_KINDS: len(records)})

    return Rule(rule.judge, tally)
