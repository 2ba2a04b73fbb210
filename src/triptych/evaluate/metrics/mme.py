"""MME: accuracy plus accuracy+ per subtask, each times 100, and their sums.

Each picture has two questions, one to be answered with yes and one with no. Accuracy is over questions, accuracy+ over
pictures with both right. Perception is the sum over ten subtasks (at most 2000), cognition over four (800).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from triptych.evaluate.metrics.yes_no import answer_rule
from triptych.evaluate.parsers import official
from triptych.evaluate.parsers.yes_no import read_yes_no
from triptych.evaluate.scoring.metric import AnswerMetric, all_right_by_coin
from triptych.evaluate.scoring.rule import OURS, Parsed, Rule, cluster
from triptych.evaluate.scoring.tallies import ratio, tally_by
from triptych.evaluate.scoring.truths import neither_yes_nor_no
from triptych.evaluate.tasks.question import Record

PERCEPTION = ("existence", "count", "position", "color", "posters", "celebrity", "scene", "landmark", "artwork", "OCR")
COGNITION = ("commonsense_reasoning", "numerical_calculation", "text_translation", "code_reasoning")
SUBTASKS = PERCEPTION + COGNITION
COLUMNS = 4 * len(SUBTASKS)
"""Per subtask: questions, right answers, pictures, pictures with every question right."""


class Mme(AnswerMetric):
    """MME's points; see the module."""

    name = "mme"
    source = "C. Fu et al., MME, 2023"
    official: ClassVar[Mapping[str, str]] = {"prefix": "eval_tool/calculation.py of the release, as lmms-eval has it"}

    def make_rules(self) -> dict[str, Rule]:
        """Ours, and one that looks at the first four characters."""
        return {OURS: _rule(read_yes_no), "prefix": _rule(official.prefix_yes_no)}

    constant_answers = ("yes", "no")

    def blind(self, records: Sequence[Record]) -> dict[str, float]:
        """A coin that is right about every question of a picture."""
        return {"accuracy_plus": all_right_by_coin(records, cluster)}

    check_truth = staticmethod(neither_yes_nor_no)


def _rule(parse: Callable[[str], Parsed]) -> Rule:
    def row(records: Sequence[Record]) -> NDArray[np.float64]:
        return mme_row(records[0].kind, [bool(record.correct) for record in records])

    judge = answer_rule(parse, row, mme_scores).judge
    return Rule(
        judge, lambda records: tally_by(records, cluster, row, mme_scores)
    )  # kinds are subtasks: rows have them


def mme_row(subtask: str, correct: Sequence[bool]) -> NDArray[np.float64]:
    """What one picture adds: a row `[COLUMNS]`.

    Raises:
        KeyError: There is no such subtask.
    """
    if subtask not in SUBTASKS:
        raise KeyError(subtask)
    row = np.zeros(COLUMNS)
    place = 4 * SUBTASKS.index(subtask)
    row[place : place + 4] = len(correct), sum(correct), 1, all(correct)
    return row


def mme_scores(sums: NDArray[np.float64]) -> dict[str, NDArray[np.float64]]:
    """`perception`, `cognition`, `accuracy`, `accuracy_plus` and each subtask, of summed rows `[..., COLUMNS]`."""
    grid = sums.reshape(*sums.shape[:-1], len(SUBTASKS), 4)
    questions, right, pictures, whole = np.moveaxis(grid, -1, 0)
    points = 100 * (ratio(right, questions) + ratio(whole, pictures))
    per = {subtask: points[..., i] for i, subtask in enumerate(SUBTASKS)}

    def total(names: Sequence[str]) -> NDArray[np.float64]:
        chosen = np.stack([per[name] for name in names], axis=-1)
        return np.where(np.isnan(chosen).all(-1), np.nan, np.nansum(chosen, axis=-1))

    return {
        "accuracy": ratio(right.sum(-1), questions.sum(-1)),
        "accuracy_plus": ratio(whole.sum(-1), pictures.sum(-1)),
        "perception": total(PERCEPTION),
        "cognition": total(COGNITION),
    } | per
