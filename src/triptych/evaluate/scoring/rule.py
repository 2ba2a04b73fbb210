"""What a rule is: how one record is judged, and what the scores of judged records are made of."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from triptych.evaluate.parsers import parse_free
from triptych.evaluate.parsers.conclusion import final_text
from triptych.evaluate.parsers.unread import Unread
from triptych.evaluate.scoring.bootstrap import Score, Tally
from triptych.evaluate.scoring.tallies import means, ratio, tally_by
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
    group: Hashable = record.facts.get("group", record.facts.get("picture", record.sample))
    return group


def truths_of(record: Record) -> list[str]:
    """The true answers of a record."""
    return record.truth if isinstance(record.truth, list) else [record.truth]


def as_written(record: Record) -> str | None:
    """The whole answer; `None` where it is empty."""
    return parse_free(record.answer)


def as_concluded(record: Record) -> str | None:
    """What the answer says after thinking; `None` where it is empty."""
    return parse_free(final_text(record.answer))


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


def share_rule(
    parse: Callable[[Record], Parsed], right: Callable[[Record, str | None], bool | float], score: str = "accuracy"
) -> Rule:
    """A rule with one score, the mean of how well each record is answered."""
    return rule_of(parse, right, *means({score: lambda record: float(record.correct)}))


MEAN_OF_KINDS = "mean_of_kinds"
"""The mean of the accuracies of the kinds of questions, each counting the same."""


def mean_of_kinds(rule: Rule) -> Rule:
    """The rule with one more score, `mean_of_kinds`."""

    def tally(records: Sequence[Record]) -> Tally:
        made = rule.tally(records)
        kinds = list(dict.fromkeys(record.kind for record in records))

        def score(sums: NDArray[np.float64]) -> dict[str, NDArray[np.float64]]:
            scores = made.score(sums)
            names = [f"{kind}_accuracy" for kind in kinds] if len(kinds) > 1 else ["accuracy"]
            each = np.stack([scores[name] for name in names], axis=-1)
            there = ~np.isnan(each)  # a draw of the bootstrap may leave a kind out
            mean = ratio(np.where(there, each, 0.0).sum(axis=-1), there.sum(axis=-1).astype(np.float64))
            return {**scores, MEAN_OF_KINDS: mean}

        return replace(made, score=score, counts={**made.counts, MEAN_OF_KINDS: len(records)})

    return Rule(rule.judge, tally)
