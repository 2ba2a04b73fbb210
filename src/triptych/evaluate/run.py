"""Running one task: ask, record, judge, score.

    source ─► task ── questions ─► responder ── replies ─► records (JSONL) ─► judge ─► tally ─► scores, intervals
                          └ the same with another sample's picture ─────────► control

Everything asked is on the disk before the next batch is asked, so an evaluation that was killed goes on where it was
when it is started again, and asks nothing twice.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias, assert_never

from triptych.errors import EvaluationError
from triptych.evaluate.asking import Asking, control_questions
from triptych.evaluate.config import CaptionsTaskConfig, EpisodesTaskConfig, ScenesTaskConfig
from triptych.evaluate.metrics.bootstrap import differences, intervals
from triptych.evaluate.records import check_settings, write_records
from triptych.evaluate.results import Baseline, TaskResult, Unparsed
from triptych.evaluate.shares import forget
from triptych.evaluate.tasks.captions import Captioned, CaptionsTask, read_captions
from triptych.evaluate.tasks.episodes import EpisodesTask
from triptych.evaluate.tasks.question import Question, Record, Task
from triptych.evaluate.tasks.scenes import ScenesTask

if TYPE_CHECKING:
    from triptych.data.sources import Source
    from triptych.evaluate.tasks.baselines import Features
    from triptych.generate.config import Responder

AnyTask: TypeAlias = ScenesTaskConfig | CaptionsTaskConfig | EpisodesTaskConfig

_WITHOUT_EFFECT = ("limit", "control", "failed_share", "baselines", "train_data")
"""Settings that may change, like the batch size, between two starts of an evaluation: no answer depends on them."""


def evaluate(
    responder: Responder,
    source: Source,
    task: AnyTask,
    output: Path,
    *,
    name: str | None = None,
    train_source: Source | None = None,
    features: Features | None = None,
    fingerprint: str = "",
    fresh: bool = False,
    progress: bool = True,
) -> TaskResult:
    """Ask a source's questions, keep a record of each answer, and score them with intervals.

    Args:
        responder: Answers conversations: a loaded model, or anything with `respond`.
        source: The dataset that `task.data` names.
        task: What the recipe says.
        output: The run folder; records go to `output/evaluation/NAME.jsonl` and `NAME.control.jsonl`.
        name: The task's name in the recipe; that of its dataset by default.
        train_source: The dataset that `task.train_data` names; the baselines take their captions from it.
        features: Pictures → pooled features `[N, D]`, for the baseline `nearest`.
        fingerprint: Of the model; records of another model are never taken for this one's.
        fresh: Discard records of earlier evaluations instead of going on from them.
        progress: Show a progress bar.

    Raises:
        EvaluationError: The source does not fit the task, its records were made with other settings, a baseline
            lacks what it needs, or more than `task.failed_share` of the questions cannot be asked.
    """
    name = name or task.data
    folder = output / "evaluation"
    paths = {kind: folder / f"{name}{kind}" for kind in (".jsonl", ".control.jsonl", ".settings.json")}
    _check_baselines(task, train_source, features)
    built = _build(task, source)
    questions = built.reading.questions
    _check_questions(questions, built.reading.faults, task, source)
    if fresh:
        forget(paths.values())
    settings = task.model_dump(mode="json", exclude=set(_WITHOUT_EFFECT))
    del settings["generation"]["batch_size"]
    check_settings(paths[".settings.json"], {**settings, "fingerprint": fingerprint})

    asking = Asking(responder, task.generation, task.data, task.failed_share, progress)
    records = built.judge(asking.ask(questions, paths[".jsonl"], name))
    write_records(paths[".jsonl"], records)
    control: list[Record] = []
    if task.control:
        control = built.judge(_control(asking, task, built, records, paths[".control.jsonl"], f"{name}, control"))
        write_records(paths[".control.jsonl"], control)

    seconds = sum(record.seconds for record in records)
    return TaskResult(
        kind=task.kind,
        dataset=task.data,
        samples=len({record.sample for record in records}),
        questions=len(records),
        prompt=built.prompt,
        parser=built.parsers,
        generation=task.generation.model_dump(),
        seconds=seconds,
        questions_per_second=len(records) / seconds if seconds > 0 else 0.0,
        metrics=intervals(built.tally(records), seed=task.seed),
        control=intervals(built.tally(control), seed=task.seed) if control else {},
        unparsed=_unparsed(records),
        chance=built.chance(records),
        baselines=_baselines(task, built, records, train_source, features),
        failed=dict(built.reading.faults + Counter(record.error for record in records if record.error is not None)),
        fingerprint=fingerprint,
    )


def _build(task: AnyTask, source: Source) -> Task:
    match task:
        case ScenesTaskConfig():
            return ScenesTask(task, source)
        case CaptionsTaskConfig():
            return CaptionsTask(task, source)
        case EpisodesTaskConfig():
            return EpisodesTask(task, source)
        case _:
            assert_never(task)


def _control(
    asking: Asking,
    task: AnyTask,
    built: Task,
    records: Sequence[Record],
    path: Path,
    title: str,
) -> list[Record]:
    if isinstance(built, EpisodesTask):
        return asking.ask(built.control(), path, title)
    shuffled = control_questions(built.reading.questions, built.reading.media, task.seed)
    if isinstance(task, ScenesTaskConfig):
        return asking.ask(shuffled, path, title)
    # Every picture is asked the same, so what would be said of the other picture has been said already.
    said = {record.sample: record for record in records}
    return [
        replace(record, answer=said[q.shown].answer, finish=said[q.shown].finish, tokens=said[q.shown].tokens,
                error=said[q.shown].error, image={"dataset": task.data, "index": q.shown})
        for record, q in zip(records, shuffled, strict=True)
    ]  # fmt: skip


def _baselines(
    task: AnyTask,
    built: Task,
    records: Sequence[Record],
    train_source: Source | None,
    features: Features | None,
) -> dict[str, Baseline]:
    if not isinstance(task, CaptionsTaskConfig) or not task.baselines:
        return {}
    from triptych.evaluate.tasks.baselines import central_caption, nearest_captions

    assert train_source is not None and task.train_data is not None
    train, _ = read_captions(train_source, task.train_data)
    if not train:
        raise EvaluationError(f"{task.train_data}: has no captions for the baselines")
    answers: dict[str, list[str]] = {}
    if "central" in task.baselines:
        answers["central"] = [central_caption(train, seed=task.seed)] * len(records)
    if "nearest" in task.baselines:
        assert features is not None
        pictures = [Captioned(q.id, q.sample, q.media, ()) for q in built.reading.questions]
        answers["nearest"] = nearest_captions(pictures, train, features)
    ours = built.tally(records)
    found = {}
    for baseline, captions in answers.items():
        theirs = built.tally([replace(record, answer=text) for record, text in zip(records, captions, strict=True)])
        found[baseline] = Baseline(
            metrics=intervals(theirs, seed=task.seed), difference=differences(ours, theirs, seed=task.seed)
        )
    return found


def _check_baselines(task: AnyTask, train_source: Source | None, features: Features | None) -> None:
    if isinstance(task, CaptionsTaskConfig) and task.baselines:
        if train_source is None:
            raise EvaluationError(f"the baselines need the dataset {task.train_data!r}: pass it as `train_source`")
        if "nearest" in task.baselines and features is None:
            raise EvaluationError(
                "the baseline `nearest` needs an encoder's features: pass `features`, or leave it out"
            )


def _check_questions(
    questions: Sequence[Question],
    faults: Mapping[str, int],
    task: AnyTask,
    source: Source,
) -> None:
    if faults and sum(faults.values()) > task.failed_share * len(source):
        raise EvaluationError(
            f"{task.data}: {sum(faults.values())} of {len(source)} records cannot be read, more than the allowed "
            f"share of {task.failed_share:g}; the first reason: {next(iter(faults))}"
        )
    if not questions:
        raise EvaluationError(f"{task.data}: there is nothing to ask")
    repeated = [id_ for id_, count in Counter(question.id for question in questions).items() if count > 1]
    if repeated:
        raise EvaluationError(f"{task.data}: two samples have the id {repeated[0]!r}; ids must be unique in a dataset")


def _unparsed(records: Sequence[Record]) -> Unparsed:
    asked = Counter(record.kind for record in records)
    unparsed = Counter(record.kind for record in records if record.parsed is None)
    return Unparsed(
        count=unparsed.total(),
        share=unparsed.total() / len(records),
        by_kind={kind: unparsed[kind] / asked[kind] for kind in asked},
    )
