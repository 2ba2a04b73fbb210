"""Running a benchmark: read its items, and have them answered, compared or looked at as its metric needs."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from triptych.errors import EvaluationError
from triptych.evaluate import engine
from triptych.evaluate.benchmarks.config import TaskFile
from triptych.evaluate.benchmarks.options import Options
from triptych.evaluate.benchmarks.readers import read
from triptych.evaluate.benchmarks.readers.faults import Faults
from triptych.evaluate.benchmarks.readers.pictures import Pictures
from triptych.evaluate.capabilities import check_capability
from triptych.evaluate.results import TaskResult
from triptych.evaluate.scoring.metric import AnswerMetric
from triptych.evaluate.task import Task
from triptych.generate.config import Responder, needs_media

__all__ = ["Options", "by_likelihood", "run_benchmark"]


def run_benchmark(
    file: TaskFile, model: Any, output: Path, fingerprint: str, options: Options | None = None
) -> TaskResult:
    """Evaluate a model on a benchmark; records go to `output/evaluation/NAME.jsonl`, and an interrupted run goes on there.

    Args:
        file: The task.
        model: What its metric needs: a `Responder`; of retrieval an `Embedder`; of images `Drawn` pictures.
        output: The run folder.
        fingerprint: Of the model; answers of another are never taken for its own.
        options: How.

    Raises:
        DataError: The data is not there or malformed.
        EvaluationError: The model cannot do what is needed, there are records made with other settings, too many
            questions cannot be asked, or `java` is asked for where it is missing.
    """
    options = options or Options()
    metric = file.build_metric()
    check_capability(file.name, metric.needs, model)
    if isinstance(metric, AnswerMetric) and options.java:
        metric.external_rules()  # what is missing is said before anything is read
    faults, pictures = Faults(), Pictures(needs_media(model))
    items = read(file, options.data, faults, pictures)
    task: Task
    match metric.needs:
        case "embeds":
            from triptych.evaluate.benchmarks.retrieval import retrieval_task

            task = retrieval_task(file, items[: options.limit], options, faults)
        case "draws":
            from triptych.evaluate.benchmarks.drawn import DrawnTask

            task = DrawnTask(file, items[: options.limit], options, faults)
        case _:
            from triptych.evaluate.benchmarks.task import BenchmarkTask

            task = BenchmarkTask(file, items, options, faults, pictures.missing)
            model = _answering(file, model, options)
    return engine.run(
        task, model, output, name=file.name, fingerprint=fingerprint, fresh=options.fresh, progress=options.progress
    )


def _answering(file: TaskFile, responder: Responder, options: Options) -> Responder:
    if not options.likelihood:
        return responder
    if file.answer == "generate":
        raise EvaluationError(f"{file.name}: is answered in writing; only choice questions are answered by likelihood")
    return by_likelihood(responder, options.likelihood)


def by_likelihood(responder: Responder, by: str) -> Responder:
    """A responder that takes the likeliest option, of a model that knows how likely its words are.

    Raises:
        EvaluationError: It does not, or `by` is neither `letter` nor `text`.
    """
    if by not in ("letter", "text"):
        raise EvaluationError(f"options are compared by their `letter` or by their `text`, not by {by!r}")
    maker = getattr(responder, "by_likelihood", None)
    if maker is None:
        raise EvaluationError("this model does not tell how likely an answer is, so it can only be asked to write one")
    made: Responder = maker(by)
    return made
