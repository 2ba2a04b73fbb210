"""Running a benchmark: ask (or go on asking), read the answers by every rule, score, and say what the result rests on."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from triptych.errors import EvaluationError
from triptych.evaluate.asking import Asking, control_questions
from triptych.evaluate.benchmarks import catalogue
from triptych.evaluate.benchmarks.config import TaskFile
from triptych.evaluate.benchmarks.judge import ask_judge, judges_of
from triptych.evaluate.benchmarks.readers import read
from triptych.evaluate.benchmarks.readers.faults import Faults
from triptych.evaluate.benchmarks.readers.pictures import Pictures
from triptych.evaluate.benchmarks.rules import OURS, rules_of
from triptych.evaluate.benchmarks.task import BenchmarkTask, facts_of
from triptych.evaluate.contamination import TrainingPictures, contamination
from triptych.evaluate.metrics.bootstrap import Tally, intervals
from triptych.evaluate.metrics.java import check_available
from triptych.evaluate.records import check_settings, write_records
from triptych.evaluate.results import Interval, RuleResult, TaskResult, Unparsed
from triptych.evaluate.shares import forget, rank
from triptych.evaluate.tasks.question import Record
from triptych.generate.config import needs_media

if TYPE_CHECKING:
    from triptych.generate.config import GenerationSettings, Responder

_SAME_QUESTION = ("caption", "chair")
"""Every picture is asked the same, so what would be said of another picture has been said already."""


@dataclass(frozen=True)
class Options:
    """How a benchmark is run.

    Args:
        data: The data folder.
        limit: At most this many questions, whole groups and pictures, spread over the dataset.
        control: Ask everything again with another picture.
        shots: Solved examples before each question, from pictures that are then not asked about.
        likelihood: Choice questions by how likely their options are, instead of by what is written: `letter` or `text`.
        java: Caption scores by pycocoevalcap's Java programs, too.
        judge: Answers of judge models come from here.
        judge_name: The judge's, which verdicts carry: those of another are asked for again.
        fresh: Forget earlier answers.
        progress: Show a bar.
        trained: The pictures that the model was trained with, to be recognised among those of the benchmark.
    """

    data: Path | None = None
    limit: int | None = None
    control: bool = False
    shots: int = 0
    likelihood: str = ""
    java: bool = False
    judge: Responder | None = None
    judge_name: str = ""
    fresh: bool = False
    progress: bool = True
    trained: TrainingPictures | None = None
    seed: int = 0
    failed_share: float = 0.05


def run_benchmark(
    file: TaskFile, responder: Responder, output: Path, fingerprint: str, options: Options | None = None
) -> TaskResult:
    """Ask a benchmark's questions; records go to `output/evaluation/NAME.jsonl`, and an interrupted run goes on there.

    Args:
        file: The task.
        responder: Who answers.
        output: The run folder.
        fingerprint: Of the model; answers of another are never taken for its own.
        options: How.

    Raises:
        DataError: The data is not there or malformed.
        EvaluationError: There are records made with other settings, too many questions cannot be asked, or `java` is
            asked for where it is missing.
    """
    options = options or Options()
    if file.metric == "retrieval":
        raise EvaluationError(f"{file.name}: compares directions of pictures and texts, which only a dual encoder has")
    if file.metric == "images":
        raise EvaluationError(f"{file.name}: scores pictures; name a folder of them: triptych evaluate pictures:FOLDER")
    if file.metric == "caption" and options.java:
        check_available()  # before anything is asked
    faults, pictures = Faults(), Pictures(needs_media(responder))
    task = BenchmarkTask(file, read(file, options.data, faults, pictures), options.limit, options.shots)
    generation = file.generation
    if options.likelihood:
        if file.answer == "generate":
            raise EvaluationError(
                f"{file.name}: is answered in writing; only choice questions are answered by likelihood"
            )
        responder = by_likelihood(responder, options.likelihood)
    folder = output / "evaluation"
    path, control_path = folder / f"{file.name}.jsonl", folder / f"{file.name}.control.jsonl"
    settings_path = folder / f"{file.name}.settings.json"
    if options.fresh:
        forget((path, control_path, settings_path))
    check_settings(settings_path, _settings(file, task, options, fingerprint))

    asking = Asking(responder, generation, file.name, options.failed_share, options.progress)
    records = task.judge(asking.ask(task.reading.questions, path, file.name))
    if file.judge is not None and options.judge is not None:
        judged = ask_judge(
            file, records, options.judge, lambda done: _save(path, done),
            name=options.judge_name, failed_share=options.failed_share, progress=options.progress,
        )  # fmt: skip
        records = task.judge(judged)
    _save(path, records)
    control = _control(task, asking, records, control_path, options)
    ruled = _ruled(task, records, options)
    seconds = sum(record.seconds for record in records)
    facts: dict[str, Any] = {
        **facts_of(task),
        "task": file.name,
        "settings_sha256": _settings_hash(generation, options),
    }
    facts |= {
        "shots": options.shots,
        "answered_by": f"likelihood of the {options.likelihood}" if options.likelihood else "generation",
    }
    if file.judge is not None:
        facts["judged"] = sum(record.verdict is not None for record in records)
        facts["judge"] = judges_of(records)
    facts |= faults.facts
    checked = contamination(
        (medium for question in task.reading.questions for medium in question.media), options.trained, pictures.missing
    )
    if checked is not None:
        facts["contamination"] = checked
    return TaskResult(
        kind="benchmark",
        dataset=file.name,
        samples=len({record.sample for record in records}),
        questions=len(records),
        prompt=file.prompt,
        parser=task.parsers,
        generation=generation.model_dump(),
        seconds=seconds,
        questions_per_second=len(records) / seconds if seconds > 0 else 0.0,
        metrics=ruled[OURS].metrics,
        control=control,
        unparsed=ruled[OURS].unparsed,
        chance=task.chance(records),
        failed=dict(
            Counter(record.error for record in records if record.error is not None) + Counter(faults.by_reason())
        ),
        fingerprint=fingerprint,
        rules=ruled,
        facts=facts,
    )


def _save(path: Path, records: Sequence[Record]) -> None:
    if rank() == 0:
        write_records(path, records)


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


def tally_again(result: TaskResult, records: Sequence[Record]) -> Tally:
    """What the scores of a benchmark's records are made of, from what its result says of it."""
    rule = rules_of(catalogue.load(result.facts["task"]))[OURS]
    return rule.tally([rule.judge(record) for record in records])


def _control(
    task: BenchmarkTask, asking: Asking, records: Sequence[Record], path: Path, options: Options
) -> dict[str, Interval]:
    same = task.file.metric in _SAME_QUESTION
    shown = [question for question in task.reading.questions if question.media]
    if (
        not (same or options.control)
        or len({question.sample for question in shown}) < 2
        or task.file.metric == "judged"
    ):
        return {}
    media = task.reading.media
    if same:  # of pictures that a limit left out, nothing has been said
        media = {question.sample: media[question.sample] for question in shown}
    shuffled = control_questions(shown, media, options.seed)
    if same:
        said = {record.sample: record for record in records}
        truths = {record.id: record for record in records}
        control = [
            replace(truths[question.id], answer=said[question.shown].answer, error=said[question.shown].error)
            for question in shuffled
        ]
    else:
        control = asking.ask(shuffled, path, f"{task.file.name}, control")
    control = task.judge(control)
    _save(path, control)
    return intervals(task.tally(control), seed=options.seed)


def _ruled(task: BenchmarkTask, records: Sequence[Record], options: Options) -> dict[str, RuleResult]:
    names = list(task.rules)
    found = {}
    rules = dict(task.rules)
    if task.file.metric == "caption" and options.java:
        from triptych.evaluate.benchmarks.rules import java_rule

        rules["pycocoevalcap"] = java_rule()
        names.append("pycocoevalcap")
    for name in names:
        judged = [rules[name].judge(record) for record in records]
        found[name] = RuleResult(
            metrics=intervals(rules[name].tally(judged), seed=options.seed),
            unparsed=unparsed_of(judged),
            official=name == task.file.official,
        )
    return found


def unparsed_of(records: Sequence[Record]) -> Unparsed:
    """How many answers say nothing that can be read, and their share per kind."""
    asked = Counter(record.kind for record in records)
    unparsed = Counter(record.kind for record in records if record.parsed is None)
    by_kind = {kind: unparsed[kind] / asked[kind] for kind in asked}
    reasons = Counter(record.reason for record in records if record.parsed is None and record.reason)
    share = unparsed.total() / max(1, len(records))
    return Unparsed(count=unparsed.total(), share=share, by_kind=by_kind, reasons=dict(reasons.most_common()))


def _settings(file: TaskFile, task: BenchmarkTask, options: Options, fingerprint: str) -> dict[str, Any]:
    generation = file.generation.model_dump(exclude={"batch_size"})
    return {
        "task": file.name,
        "prompt": file.prompt,
        "generation": generation,
        "dataset": task.dataset,
        "shots": options.shots,
        "likelihood": options.likelihood,
        "fingerprint": fingerprint,
    }


def _settings_hash(generation: GenerationSettings, options: Options) -> str:
    text = f"{generation.model_dump_json(exclude={'batch_size'})} {options.shots} {options.likelihood}"
    return hashlib.sha256(text.encode()).hexdigest()[:16]
