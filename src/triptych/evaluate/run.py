"""Evaluating a model by a task of a recipe: the one function for every kind of task."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from triptych.evaluate import engine
from triptych.evaluate.capabilities import check_capability
from triptych.evaluate.results import TaskResult
from triptych.evaluate.task import Task
from triptych.registry import implementation

if TYPE_CHECKING:
    from triptych.data.sources import Source
    from triptych.evaluate.config import TaskConfig
    from triptych.evaluate.tasks.recipe import Features


def evaluate(
    model: Any,
    source: Source,
    task: TaskConfig,
    output: Path,
    *,
    name: str | None = None,
    train_source: Source | None = None,
    features: Features | None = None,
    fingerprint: str = "",
    fresh: bool = False,
    progress: bool = True,
) -> TaskResult:
    """Have a model answer a dataset's questions, keep a record of each answer, and score them with intervals.

    Args:
        model: Does what the kind of task needs: it responds to conversations (`Responder`), compares directions
            (`Embedder`) or points at what expressions mean (`Grounder`).
        source: The dataset that `task.data` names.
        task: What the recipe says.
        output: The run folder; records go to `output/evaluation/NAME.jsonl` and `NAME.control.jsonl`.
        name: The task's name in the recipe; that of its dataset by default.
        train_source: The dataset that `task.train_data` names, for baselines and probes.
        features: Pictures → pooled features `[N, D]`, for the baseline `nearest`.
        fingerprint: Of the model; records of another model are never taken for this one's.
        fresh: Discard records of earlier evaluations instead of going on from them.
        progress: Show a progress bar.

    Raises:
        EvaluationError: The model or the source does not fit the task, its records were made with other settings, a
            baseline lacks what it needs, or more than `task.failed_share` of the questions cannot be asked.
        RecipeError: The task is one of your own, and there is no such class.
    """
    check_capability(name or task.data, task.needs, model)
    built: Task = implementation(task)(task, source, train_source=train_source, features=features)
    return engine.run(
        built, model, output, name=name or task.data, fingerprint=fingerprint, fresh=fresh, progress=progress
    )
