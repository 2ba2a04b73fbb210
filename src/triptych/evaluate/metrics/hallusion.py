"""HallusionBench: accuracy over all questions (aAcc), question pairs (qAcc) and figures (fAcc).

A question about all the figures of its set counts for qAcc only if it is
answered right for each of them; a figure counts for fAcc only if each of its questions is. Questions without a figure
(visual supplement, figure 0) are no part of fAcc in the original script; VLMEvalKit never asks them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from triptych.evaluate.benchmarks.items import Item
from triptych.evaluate.metrics.yes_no import answer_rule
from triptych.evaluate.parsers import official
from triptych.evaluate.parsers.yes_no import read_yes_no
from triptych.evaluate.scoring.metric import AnswerMetric, all_right_by_coin
from triptych.evaluate.scoring.rule import OURS, Parsed, Rule
from triptych.evaluate.scoring.tallies import ratio
from triptych.evaluate.scoring.truths import neither_yes_nor_no
from triptych.evaluate.tasks.question import Record

COLUMNS = 6


class Hallusion(AnswerMetric):
    """HallusionBench's three accuracies; see the module."""

    name = "hallusion"
    inputs = ("answer", "truth", "facts.group", "facts.question", "facts.figure", "facts.shown")
    source = 'T. Guan et al., "HallusionBench", CVPR 2024'
    official: ClassVar[Mapping[str, str]] = {"prefix": "lmms-eval's reading of MME: the first four characters"}

    def make_rules(self) -> dict[str, Rule]:
        """Ours, and one that looks at the first four characters."""
        return {OURS: _rule(read_yes_no), "prefix": _rule(official.prefix_yes_no)}

    constant_answers = ("yes", "no")

    def blind(self, records: Sequence[Record]) -> dict[str, float]:
        """A coin that is right about a question for every figure, and about every question of a figure."""
        return {
            "q_acc": all_right_by_coin(records, lambda r: (r.facts["group"], r.facts["question"])),
            "f_acc": all_right_by_coin(records, lambda r: (r.facts["group"], r.facts["figure"])),
        }

    def check_truth(self, item: Item) -> str | None:
        """It must be yes or no, in words or as a digit."""
        return neither_yes_nor_no(item, ("0", "1", "yes", "no"))


def _rule(parse: Callable[[str], Parsed]) -> Rule:
    def row(records: Sequence[Record]) -> NDArray[np.float64]:
        return hallusion_row([
            (str(r.facts["question"]), str(r.facts["figure"]), bool(r.correct), str(r.facts["shown"]) != "0")
            for r in records
        ])  # fmt: skip

    return answer_rule(parse, row, hallusion_scores, lambda r: str(r.truth).strip().lower() in ("1", "yes"))


def hallusion_row(answers: Sequence[tuple[str, str, bool, bool]]) -> NDArray[np.float64]:
    """What one set adds: a row `[COLUMNS]`; of each answer its question, figure, whether it is right, whether shown."""
    questions: dict[str, bool] = {}
    figures: dict[str, bool] = {}
    for question, figure, right, shown in answers:
        questions[question] = questions.get(question, True) and right
        if shown:
            figures[figure] = figures.get(figure, True) and right
    row = [
        len(answers),
        sum(answer[2] for answer in answers),
        len(questions),
        sum(questions.values()),
        len(figures),
        sum(figures.values()),
    ]
    return np.array(row, dtype=np.float64)


def hallusion_scores(sums: NDArray[np.float64]) -> dict[str, NDArray[np.float64]]:
    """`a_acc`, `q_acc` and `f_acc` of summed rows `[..., COLUMNS]`."""
    names = ("a_acc", "q_acc", "f_acc")
    return {name: ratio(sums[..., 2 * i + 1], sums[..., 2 * i]) for i, name in enumerate(names)}
