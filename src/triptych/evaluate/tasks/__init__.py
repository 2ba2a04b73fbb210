"""Kinds of tasks: what is asked of a dataset, how a model answers, and how answers are judged."""

from __future__ import annotations

from typing import TYPE_CHECKING

from triptych.errors import EvaluationError
from triptych.evaluate.config import task_configs
from triptych.registry import locate, words_of

if TYPE_CHECKING:
    from triptych.evaluate.results import TaskResult
    from triptych.evaluate.scoring.metric import Metric


def metric_of(result: TaskResult) -> Metric:
    """The metric that scores records of an earlier evaluation again.

    Only kinds of tasks that come with the package are known: a results file must not say what code is run.

    Raises:
        EvaluationError: Records of such a task do not hold what its scores are made of.
    """
    classes = {word: config.implementation for config in task_configs() for word in words_of(config)}
    classes["benchmark"] = "triptych.evaluate.benchmarks.task:BenchmarkTask"
    if (path := classes.get(result.kind)) is not None:
        metric: Metric | None = locate(path).metric_of(result)
        if metric is not None:
            return metric
    known = [kind for kind in classes if kind not in ("retrieval", "zero_shot", "linear_probe")]
    raise EvaluationError(
        f"results of a task of kind {result.kind!r} cannot be compared; this version knows {', '.join(known)}"
    )
