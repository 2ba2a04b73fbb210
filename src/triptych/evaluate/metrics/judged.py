"""Answers that a judge model has rated: our rule, and what the official scripts make of the same verdicts.

Without a verdict there is no score. A verdict in which nothing can be read is worth nothing, by every rule.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from triptych.errors import RecipeError
from triptych.evaluate.benchmarks.config import Judge
from triptych.evaluate.scoring.metric import AnswerMetric
from triptych.evaluate.scoring.rule import OURS, Rule, as_written, rule_of
from triptych.evaluate.scoring.tallies import means, ratio
from triptych.evaluate.scoring.verdicts import llava_script, mmhal_script, mmvet_script, read_verdict
from triptych.evaluate.tasks.question import Record


class Judged(AnswerMetric):
    """The mean of what a judge's verdicts are worth, in shares of its best score."""

    name = "judged"
    inputs = ("answer", "truth", "verdict")
    source = (
        "H. Liu et al., NeurIPS 2023 (LLaVA-Bench); Z. Sun et al., 2024 (MMHal-Bench); W. Yu et al., ICML 2024 (MM-Vet)"
    )
    official: ClassVar[Mapping[str, str]] = {
        "llava_script": "github.com/haotian-liu/LLaVA, llava/eval/eval_gpt_review_bench.py, over all questions",
        "mmhal_script": "hub dataset Shengcao1006/MMHal-Bench, eval_gpt4.py",
        "mmvet_script": "github.com/yuweihao/MM-Vet",
    }
    lower_is_better = ("hallucination",)
    without_direction = ("judged",)

    def make_rules(self) -> dict[str, Rule]:
        """Ours, and the script's for the form of the task's verdicts."""
        how = self.scoring.judge
        if how is None:
            raise RecipeError("the metric `judged` needs `judge`: how a judge model is asked")
        ours = _mean(how, lambda verdict: read_verdict(verdict, how) or 0.0)
        match how.read:
            case "pair":
                return {OURS: ours, "llava_script": _sums(how)}
            case "rating":
                return {OURS: ours, "mmhal_script": _mean(how, lambda verdict: mmhal_script(verdict) / how.scale)}
            case "number":
                return {OURS: ours, "mmvet_script": _mean(how, mmvet_script)}
            case _:
                return {OURS: ours}


def _mean(how: Judge, value: Callable[[str], float]) -> Rule:
    """The mean of what the verdicts are worth; with `rating`, under half of the scale is a hallucination."""
    columns: dict[str, Callable[[Record], float | None]] = {
        "score": lambda r: None if r.verdict is None else float(r.correct),
        "judged": lambda r: r.verdict is not None,
    }
    if how.read == "rating":
        columns["hallucination"] = lambda r: None if r.verdict is None else float(r.correct) * how.scale < how.scale / 2
    row, score = means(columns)
    return rule_of(as_written, lambda r, _: 0.0 if r.verdict is None else value(r.verdict), row, score)


def _sums(how: Judge) -> Rule:
    """LLaVA-Bench: the sum of the model's ratings over the sum of the reference's; both are -1 where none can be read."""

    def row(records: Sequence[Record]) -> NDArray[np.float64]:
        sums = np.zeros(4)
        for record in records:
            if record.verdict is not None:
                sums[:2] += llava_script(record.verdict)
                sums[2] += 1
            sums[3] += 1
        return sums

    def score(sums: NDArray[np.float64]) -> dict[str, NDArray[np.float64]]:
        return {"score": ratio(sums[..., 1], sums[..., 0]), "judged": ratio(sums[..., 2], sums[..., 3])}

    def right(record: Record, _: str | None) -> float:
        return 0.0 if record.verdict is None else read_verdict(record.verdict, how) or 0.0

    return rule_of(as_written, right, row, score)
