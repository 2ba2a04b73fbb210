"""Runs side by side: scores with intervals, paired differences where the same questions were asked, and what each cost.

Data only; `triptych.report` draws it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from triptych.errors import EvaluationError, one_line
from triptych.evaluate.records import read_records
from triptych.evaluate.results import Interval, Results, TaskResult, load_results
from triptych.evaluate.scoring.bootstrap import Tally, differences
from triptych.evaluate.tasks import metric_of
from triptych.evaluate.tasks.question import Record
from triptych.files import read_object


@dataclass(frozen=True)
class Cost:
    """What training cost: sums over stages, except memory (the most of any stage); `None` where it is not known.

    Args:
        seconds: Wall clock.
        samples: Conversations seen.
        steps: Optimiser steps.
        trained_parameters: Parameters that any stage trained.
        peak_memory_bytes: The most memory of any stage.
    """

    seconds: float | None = None
    samples: int | None = None
    steps: int | None = None
    trained_parameters: int | None = None
    peak_memory_bytes: int | None = None


@dataclass(frozen=True)
class ComparedRun:
    """One column: a run's name (unique within the comparison), folder, cost and results."""

    name: str
    path: Path
    cost: Cost
    results: Results


@dataclass(frozen=True)
class Row:
    """One score of one task in every run, in the order of the runs.

    Args:
        task: The task's name.
        metric: The score's name.
        scores: The score of each run; `None` where the run does not have it.
        control: The same with another sample's pictures.
        chance: What answering without looking scores, in each run's dataset.
        differences: The run's score minus that of the first run, paired over the questions both were asked; `None` for
            the first run and where they share no question.
    """

    task: str
    metric: str
    scores: list[Interval | None]
    control: list[Interval | None]
    chance: list[float | None]
    differences: list[Interval | None]


@dataclass(frozen=True)
class Comparison:
    """A table: its columns, its rows, and what a reader must know (`notes`)."""

    runs: list[ComparedRun]
    rows: list[Row]
    notes: list[str] = field(default_factory=list)


def compare(runs: Sequence[Path]) -> Comparison:
    """Set run folders side by side; the first is what the others are compared with.

    Raises:
        EvaluationError: A folder holds no results, or a file in it is malformed.
    """
    if not runs:
        raise EvaluationError("name at least one run folder to compare")
    notes: list[str] = []
    columns = [ComparedRun(name, Path(path), *_read(Path(path), notes)) for name, path in _names(runs)]
    rows: list[Row] = []
    for task in dict.fromkeys(task for column in columns for task in column.results.tasks):
        found = [column.results.tasks.get(task) for column in columns]
        paired = [{}, *(_paired(columns[0], column, task, notes) for column in columns[1:])]
        metrics = dict.fromkeys(metric for result in found if result for metric in result.metrics)
        rows += [
            Row(
                task=task,
                metric=metric,
                scores=[result.metrics.get(metric) if result else None for result in found],
                control=[result.control.get(metric) if result else None for result in found],
                chance=[result.chance.get(metric) if result else None for result in found],
                differences=[difference.get(metric) for difference in paired],
            )
            for metric in metrics
        ]
    return Comparison(columns, rows, notes)


def _names(runs: Sequence[Path]) -> list[tuple[str, Path]]:
    """Folder names, or whole paths where two folders have one name."""
    short = [Path(run).resolve().name for run in runs]
    return [(name if short.count(name) == 1 else str(run), run) for name, run in zip(short, runs, strict=True)]


def _paired(first: ComparedRun, other: ComparedRun, task: str, notes: list[str]) -> dict[str, Interval]:
    ours, theirs = other.results.tasks.get(task), first.results.tasks.get(task)
    if ours is None or theirs is None or ours.kind != theirs.kind:
        return {}
    a, b = (read_records(run.path / "evaluation" / f"{task}.jsonl") for run in (other, first))
    shared = [id_ for id_ in a if id_ in b and (a[id_].question, a[id_].truth) == (b[id_].question, b[id_].truth)]
    if not shared:
        notes.append(f"{task}: {other.name} and {first.name} share no question, so their difference has no interval")
        return {}
    if len(shared) < max(len(a), len(b)):
        notes.append(
            f"{task}: the difference of {other.name} and {first.name} is over the {len(shared)} questions asked of both"
        )
    if ours.generation != theirs.generation or ours.prompt != theirs.prompt:
        notes.append(f"{task}: {other.name} and {first.name} were asked with different prompts or generation settings")
    return differences(tally_of(ours, [a[id_] for id_ in shared]), tally_of(theirs, _aligned(a, b, shared)))


def _aligned(a: dict[str, Record], b: dict[str, Record], shared: Sequence[str]) -> list[Record]:
    """The shared records of `b`, their samples numbered as in `a`: both sides must resample the same pictures."""
    return [Record(**{**b[id_].to_json(), "sample": a[id_].sample}) for id_ in shared]


def tally_of(result: TaskResult, records: Sequence[Record]) -> Tally:
    """What the scores of a task's judged records are made of, by the task's kind.

    Raises:
        EvaluationError: Results of this kind cannot be compared.
    """
    metric = metric_of(result)
    return metric.tally([record for record in records if metric.takes(record)])


def _read(path: Path, notes: list[str]) -> tuple[Cost, Results]:
    results = load_results(path)
    file = path / "run.json"
    if not file.exists():
        notes.append(f"{path}: there is no run.json, so its cost is not known")
        return Cost(), results
    facts = read_object(file, EvaluationError)
    try:
        return _cost(facts), results
    except (ValueError, AttributeError, TypeError, KeyError, OverflowError) as error:
        raise EvaluationError(f"{file}: not the account of a run ({one_line(error)})") from error


def _cost(facts: dict[str, Any]) -> Cost:
    stages = facts["stages"]

    def known(key: str) -> list[Any]:
        return [stage[key] for stage in stages if stage.get(key) is not None]

    trained: dict[str, int] = {}
    for stage in stages:
        for part in stage.get("parts", ()):
            count = part["parameters"] * part["trained"] if isinstance(part["trained"], bool) else part["trained"]
            trained[part["part"]] = max(trained.get(part["part"], 0), count)
    return Cost(
        seconds=sum(known("seconds")) if known("seconds") else None,
        samples=sum(known("samples")) if known("samples") else None,
        steps=sum(known("steps")) if known("steps") else None,
        trained_parameters=sum(trained.values()) if trained else None,
        peak_memory_bytes=max(known("peak_memory_bytes"), default=None),
    )
