"""Answers that a judge model has rated: our rule, and what the official scripts make of the same verdicts.

Without a verdict there is no score. A verdict in which nothing can be read is worth nothing, by every rule.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from triptych.evaluate.benchmarks.config import Judge, TaskFile
from triptych.evaluate.benchmarks.rule import OURS, Rule, rule_of
from triptych.evaluate.benchmarks.verdicts import llava_script, mmhal_script, mmvet_script, read_verdict
from triptych.evaluate.metrics.tallies import means, ratio
from triptych.evaluate.parsers import parse_free
from triptych.evaluate.tasks.question import Record


def judged_rules(task: TaskFile) -> dict[str, Rule]:
    """The rules of a task that a judge rates: ours, and the script's for the form of its verdicts."""
    assert task.judge is not None
    how = task.judge
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


def _free(record: Record) -> str | None:
    return parse_free(record.answer)


def _mean(how: Judge, value: Callable[[str], float]) -> Rule:
    """The mean of what the verdicts are worth; with `rating`, under half of the scale is a hallucination."""
    columns: dict[str, Callable[[Record], float | None]] = {
        "score": lambda r: None if r.verdict is None else float(r.correct),
        "judged": lambda r: r.verdict is not None,
    }
    if how.read == "rating":
        columns["hallucination"] = lambda r: None if r.verdict is None else float(r.correct) * how.scale < how.scale / 2
    row, score = means(columns)
    return rule_of(_free, lambda r, _: 0.0 if r.verdict is None else value(r.verdict), row, score)


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

    return rule_of(_free, right, row, score)
