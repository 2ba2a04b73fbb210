"""Where two models disagree: a page with the questions that they answer differently, their pictures, and who is right."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from triptych.errors import DataError, EvaluationError
from triptych.evaluate.compare import ComparedRun, tally_of
from triptych.evaluate.records import read_records
from triptych.evaluate.results import Interval, TaskResult
from triptych.evaluate.scoring.bootstrap import differences
from triptych.evaluate.tasks.question import Record
from triptych.files import write_atomically
from triptych.report.folder import RunRecord, read_run
from triptych.report.gallery import data_uri
from triptych.report.redraw import PictureOpener
from triptych.report.write import page

MOST = 40
"""Disagreements of one task that are shown."""

EDGE = 280
"""The longest edge of their pictures in pixels: ten pages of a hundred pictures each are to stay small."""


@dataclass(frozen=True)
class Disagreement:
    """One question that two models answer differently: one is right, or both are wrong in different ways.

    Args:
        right: Of each, where an answer is right or wrong; `None` where it is measured against references.
        pictures: As data URIs.
    """

    question: str
    truth: str
    answers: tuple[str, str]
    right: tuple[bool, bool] | None
    pictures: list[str]


@dataclass(frozen=True)
class Section:
    """The disagreements of one task: how many, those that are shown, and how far the scores are apart."""

    asked: int
    apart: int
    shown: list[Disagreement]
    change: Interval | None


def write_pair(
    first: ComparedRun, second: ComparedRun, tasks: dict[str, str], path: Path
) -> dict[str, Interval | None]:
    """Write the page of two models; returns by how much the second is better in each task, paired over the questions.

    Args:
        first: One model.
        second: Another.
        tasks: Name and headline score of the tasks that both were asked.
        path: Where the page goes.
    """
    open_picture = PictureOpener(_folder(first.path))
    sections = {task: _section(first, second, task, score, open_picture) for task, score in tasks.items()}
    write_atomically(path, page("disagreements.html", first=first.name, second=second.name, tasks=sections))
    return {task: section.change for task, section in sections.items()}


def _folder(path: Path) -> RunRecord:
    """A run, or a folder that holds nothing but an evaluation."""
    try:
        return read_run(path)
    except DataError:
        return RunRecord(path)


def _section(first: ComparedRun, second: ComparedRun, task: str, score: str, open_picture: PictureOpener) -> Section:
    a, b = (read_records(run.path / "evaluation" / f"{task}.jsonl") for run in (first, second))
    both = [(a[id_], b[id_]) for id_ in a if id_ in b and a[id_].question == b[id_].question]
    apart = [pair for pair in both if _said(pair[0]) != _said(pair[1])]
    graded = _is_graded(first.results.tasks[task])
    apart.sort(key=lambda pair: abs(float(pair[0].correct) - float(pair[1].correct)), reverse=True)
    # Those where either is right take turns, so that a page does not show the triumphs of one model alone.
    ours, theirs = ([pair for pair in apart if _gain(pair) * sign > 0] for sign in (1, -1))
    turns = [pair for both_ways in zip(ours, theirs, strict=False) for pair in both_ways]
    rest = [*ours[len(theirs) :], *theirs[len(ours) :], *(pair for pair in apart if _gain(pair) == 0)]
    shown = [_shown(*pair, graded, open_picture) for pair in (*turns, *rest)[:MOST]]
    return Section(len(both), len(apart), shown, difference(first, second, task, score))


def _gain(pair: tuple[Record, Record]) -> float:
    return float(pair[0].correct) - float(pair[1].correct)


def _is_graded(result: TaskResult) -> bool:
    """Whether answers are measured against references, so that none is just right or wrong."""
    return result.kind == "captions" or any(form.startswith("caption") for form in result.parser.values())


def _shown(ours: Record, theirs: Record, graded: bool, open_picture: PictureOpener) -> Disagreement:
    return Disagreement(
        ours.question,
        ours.truth if isinstance(ours.truth, str) else "; ".join(ours.truth[:3]),
        (ours.answer, theirs.answer),
        None if graded else (float(ours.correct) >= 0.5, float(theirs.correct) >= 0.5),
        list(_pictures(ours, open_picture)),
    )


def _pictures(record: Record, open_picture: PictureOpener) -> Iterator[str]:
    files = record.facts.get("images", ())[:2]
    for values in [{"facts": {"images": [file]}} for file in files] or [record.to_json()]:
        found = open_picture(values)
        if found is not None:
            yield data_uri(found, EDGE)


def _said(record: Record) -> Any:
    return record.parsed if record.parsed is not None else record.answer


def difference(first: ComparedRun, second: ComparedRun, task: str, score: str) -> Interval | None:
    """The second's score minus the first's, paired over the questions of both; `None` where they share none."""
    ours, theirs = second.results.tasks[task], first.results.tasks[task]
    a, b = (read_records(run.path / "evaluation" / f"{task}.jsonl") for run in (second, first))
    ids = [id_ for id_ in a if id_ in b and a[id_].question == b[id_].question]
    if not ids or ours.kind != theirs.kind:
        return None
    try:
        mine, other = tally_of(ours, [a[id_] for id_ in ids]), tally_of(theirs, [b[id_] for id_ in ids])
        return differences(mine, other).get(score)
    except (EvaluationError, ValueError):
        return None
