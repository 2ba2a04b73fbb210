"""Yes or no, scored as detection of what is there (POPE): accuracy, precision, recall, F1 and the share of "yes".

`scoring.detection` says how unparsed answers count.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from triptych.evaluate.parsers import official
from triptych.evaluate.parsers.yes_no import read_yes_no
from triptych.evaluate.scoring.bootstrap import Score
from triptych.evaluate.scoring.detection import detection_counts, detection_scores
from triptych.evaluate.scoring.metric import AnswerMetric
from triptych.evaluate.scoring.rule import OURS, Parsed, Row, Rule, rule_of
from triptych.evaluate.scoring.tallies import ratio
from triptych.evaluate.scoring.truths import neither_yes_nor_no
from triptych.evaluate.tasks.question import Record


class YesNo(AnswerMetric):
    """Detection by questions of yes or no."""

    name = "yes_no"
    source = "Y. Li et al., Evaluating object hallucination in large vision-language models, EMNLP 2023"
    official: ClassVar[Mapping[str, str]] = {
        "pope_script": "github.com/AoiDragon/POPE, evaluate.py",
        "lmms_eval": "lmms-eval's POPE",
        "prefix": "lmms-eval's reading of MME: the first four characters",
    }
    without_direction = ("yes_ratio",)

    def make_rules(self) -> dict[str, Rule]:
        """Ours, POPE's, and two of lmms-eval."""
        return {
            OURS: _detection(read_yes_no),
            "pope_script": _detection(official.pope_script),
            "lmms_eval": _detection(official.exact_yes_no, truth_ratio=True),
            "prefix": _detection(official.prefix_yes_no),
        }

    constant_answers = ("yes", "no")

    check_truth = staticmethod(neither_yes_nor_no)


def is_yes(record: Record) -> bool:
    """Whether the true answer is yes."""
    return str(record.truth).lower().strip() == "yes"


def answer_rule(
    parse: Callable[[str], Parsed], row: Row, score: Score, is_true: Callable[[Record], bool] = is_yes
) -> Rule:
    """A rule that wants "yes" where something is true, and "no" where it is not; see `rule_of`."""

    def right(record: Record, parsed: str | None) -> bool:
        return (parsed or "").lower() == ("yes" if is_true(record) else "no")

    return rule_of(lambda record: parse(record.answer), right, row, score)


def _detection(parse: Callable[[str], Parsed], truth_ratio: bool = False) -> Rule:
    """Yes or no as detection of what is there. `truth_ratio`: the yes-ratio is that of the truths, as lmms-eval has it."""

    def row(records: Sequence[Record]) -> NDArray[np.float64]:
        answers = [{"yes": True, "no": False}.get(record.parsed or "") for record in records]
        pairs = zip(records, answers, strict=True)
        return sum((detection_counts(is_yes(record), answer) for record, answer in pairs), start=np.zeros(6))

    def score(sums: NDArray[np.float64]) -> dict[str, NDArray[np.float64]]:
        scores = detection_scores(sums)
        if truth_ratio:  # and recall counts only answers that are exactly yes or no
            true_yes, _, _, false_no, missed, _ = np.moveaxis(sums, -1, 0)
            precision, recall = scores["precision"], ratio(true_yes, true_yes + false_no, empty=0.0)
            scores["recall"] = recall
            scores["f1"] = ratio(2 * precision * recall, precision + recall, empty=0.0)
            scores["yes_ratio"] = ratio(true_yes + false_no + missed, sums.sum(-1))
        return scores

    return answer_rule(parse, row, score)
