"""Which answers were wrong, and how: counted per kind of question."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from triptych.report.folder import Record
from triptych.report.numbers import number, words

UNPARSED = "not parsed"
RIGHT = 0.5
"""A score from here on counts as right where a score is a share (partial credit)."""

MATRIX_LIMIT = 12
"""Kinds with at most this many different truths and answers are shown as a matrix, others as a list."""


@dataclass(frozen=True)
class Cell:
    """How often a truth got an answer, and that as a share of the truth's questions."""

    number: int
    share: float
    right: bool


@dataclass(frozen=True)
class KindMistakes:
    """The answers to one kind of question.

    Args:
        kind: Its name.
        total: Questions.
        right: Those answered correctly.
        pairs: The most frequent mistakes as (truth, answer, times).
        columns: The answers, when `matrix` is given.
        matrix: A row per truth: (truth, cells, one per column); empty when there are too many different ones.
    """

    kind: str
    total: int
    right: int
    pairs: list[tuple[str, str, int]]
    columns: list[str]
    matrix: list[tuple[str, list[Cell]]]

    @property
    def share(self) -> float:
        """The share of correct answers."""
        return self.right / self.total


def is_right(record: Record) -> bool:
    """Whether a record's answer counts as correct."""
    correct = record.get("correct")
    return correct if isinstance(correct, bool) else (number(correct) or 0.0) >= RIGHT


def is_graded(record: Record) -> bool:
    """Whether the answer is measured against references rather than right or wrong (captions)."""
    return isinstance(record.get("truth"), list)


def is_unparsed(record: Record) -> bool:
    """Whether the parser found no answer in the text; records without a parser (captions) never are."""
    return "parsed" in record and record["parsed"] is None


def show(value: Any) -> str:
    """A truth or an answer as one line of text."""
    if isinstance(value, str):
        return value.strip()
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, list | tuple) and all(isinstance(item, str) for item in value):
        return " / ".join(value)
    return json.dumps(value, ensure_ascii=False)


def given_answer(record: Record) -> str:
    """The answer that was scored: what the parser made of it, or that it made nothing of it."""
    if is_unparsed(record):
        return UNPARSED
    return show(record.get("parsed", record.get("answer", "")))


def mistakes_by_kind(records: Iterable[Record], most: int = 8) -> list[KindMistakes]:
    """The kinds in the order of their first question, leaving out free text (references in a list) and regions."""
    kinds: dict[str, list[Record]] = {}
    for record in records:
        if record.get("truth") is not None and not is_graded(record) and not record.get("regions"):
            kinds.setdefault(str(record.get("kind") or "all questions"), []).append(record)
    return [_kind(words(kind), questions, most) for kind, questions in kinds.items()]


def _kind(kind: str, records: Sequence[Record], most: int) -> KindMistakes:
    counts = Counter((show(record["truth"]), given_answer(record)) for record in records)
    wrong = Counter((show(record["truth"]), given_answer(record)) for record in records if not is_right(record))
    columns, matrix = _matrix(counts, set(wrong))
    return KindMistakes(
        kind=kind,
        total=len(records),
        right=len(records) - sum(wrong.values()),
        pairs=[(truth, answer, times) for (truth, answer), times in wrong.most_common(most)],
        columns=columns,
        matrix=matrix,
    )


def _matrix(
    counts: Counter[tuple[str, str]], wrong: set[tuple[str, str]]
) -> tuple[list[str], list[tuple[str, list[Cell]]]]:
    truths = sorted({truth for truth, _ in counts}, key=_order)
    answers = sorted(
        {answer for _, answer in counts} | set(truths), key=lambda answer: (answer == UNPARSED, _order(answer))
    )
    if len(truths) > MATRIX_LIMIT or len(answers) > MATRIX_LIMIT or len(truths) < 2:
        return [], []
    rows = []
    for truth in truths:
        total = sum(counts[truth, answer] for answer in answers)
        rows.append(
            (
                truth,
                [
                    Cell(counts[truth, answer], counts[truth, answer] / total, (truth, answer) not in wrong)
                    for answer in answers
                ],
            )
        )
    return answers, rows


def _order(text: str) -> tuple[int, float, str]:
    """Numbers by size, then words by alphabet."""
    try:
        return 0, float(text), text
    except ValueError:
        return 1, 0.0, text
