"""Questions about scenes: accuracy per kind, detection of what is there, and the mean over kinds."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from triptych.evaluate.parsers import Form, form_of, parse_yes_no
from triptych.evaluate.scoring import detection
from triptych.evaluate.scoring.bootstrap import Tally
from triptych.evaluate.scoring.metric import Metric
from triptych.evaluate.scoring.tallies import ratio, tally_by
from triptych.evaluate.tasks.question import Record

DETECTION = "existence"
"""The kind that is scored as detection, too: precision, recall, F1, yes-ratio."""

_FORMS: Mapping[str, Form] = {"existence": "yes_no", "naming": "name", "place": "place", "counting": "count"}
"""Kinds whose answers have one form; that of other questions is read off their true answer."""


class Scenes(Metric):
    """`KIND_accuracy`; `existence_precision`, `_recall`, `_f1`, `_yes_ratio`; of several kinds, `macro_accuracy`: their mean.

    Args:
        canonical: The true answer of a record in canonical form; as it is by default.
    """

    name = "scenes"
    without_direction = ("yes_ratio",)

    def __init__(self, canonical: Callable[[Record], str] = lambda record: str(record.truth)) -> None:
        self._canonical = canonical

    def tally(self, records: Sequence[Record]) -> Tally:
        """Right answers and counts of detection, as sums per picture."""
        kinds = list(dict.fromkeys(record.kind for record in records))
        width = 2 * len(kinds)

        def row(members: Sequence[Record]) -> NDArray[np.float64]:
            sums = np.zeros(width + detection.COLUMNS)
            for record in members:
                column = 2 * kinds.index(record.kind)
                sums[column : column + 2] += 1, bool(record.correct)
                if record.kind == DETECTION:
                    answer = None if record.parsed is None else record.parsed == "yes"
                    sums[width:] += detection.detection_counts(parse_yes_no(str(record.truth)) == "yes", answer)
            return sums

        def score(sums: NDArray[np.float64]) -> dict[str, NDArray[np.float64]]:
            accuracies = {
                f"{kind}_accuracy": ratio(sums[..., 2 * i + 1], sums[..., 2 * i]) for i, kind in enumerate(kinds)
            }
            scores = dict(accuracies)
            if DETECTION in kinds:
                detected = detection.detection_scores(sums[..., width:])
                scores |= {f"{DETECTION}_{name}": value for name, value in detected.items() if name != "accuracy"}
            if len(kinds) > 1:
                scores["macro_accuracy"] = np.mean(list(accuracies.values()), axis=0)
            return scores

        totals = Counter(record.kind for record in records)
        counts = {f"{kind}_accuracy": totals[kind] for kind in kinds} | {"macro_accuracy": len(records)}
        counts |= {f"{DETECTION}_{name}": totals[DETECTION] for name in ("precision", "recall", "f1", "yes_ratio")}
        return replace(tally_by(records, lambda record: record.sample, row, score), counts=counts)

    def chance(self, records: Sequence[Record]) -> dict[str, float]:
        """Accuracy of the most frequent true answer to each form of question, per kind; F1 of always "yes"."""
        truths: dict[str, dict[str, Counter[str]]] = defaultdict(lambda: defaultdict(Counter))
        for record in records:
            truths[record.kind][answer_form(record.kind, str(record.truth))][self._canonical(record)] += 1
        chance = {
            f"{kind}_accuracy": sum(max(c.values()) for c in forms.values()) / sum(c.total() for c in forms.values())
            for kind, forms in truths.items()
        }
        if len(chance) > 1:
            chance["macro_accuracy"] = sum(chance.values()) / len(chance)
        if DETECTION in truths:
            answers = truths[DETECTION]["yes_no"]
            chance[f"{DETECTION}_f1"] = 2 * answers["yes"] / (answers["yes"] + answers.total())
        return chance


def answer_form(kind: str, truth: str) -> Form:
    """The form in which a question of a kind is answered."""
    return _FORMS.get(kind) or form_of(truth)
