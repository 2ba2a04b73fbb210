"""Several processes ask one list of questions: each its share, into a file of its own; all return all records.

    rank 0 ─► NAME.rank0.jsonl ┐
    rank 1 ─► NAME.rank1.jsonl ├─ once every question is in one of them ─► rank 0 merges ─► NAME.jsonl
    rank 2 ─► NAME.rank2.jsonl ┘

Processes meet in the file system alone, so they may be on several machines that share one. `torchrun` starts them, and ends
all when one of them dies; what was answered until then is kept and not asked again, by however many processes.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from triptych.errors import EvaluationError
from triptych.evaluate.records import read_records, write_records
from triptych.evaluate.tasks.question import Question, Record

PAUSE = 0.2
"""Seconds between two looks at what the others have done."""


def rank() -> int:
    """This process's number, as `torchrun` tells it."""
    return int(os.environ.get("RANK", "0"))


def world_size() -> int:
    """How many processes there are."""
    return int(os.environ.get("WORLD_SIZE", "1"))


def own(questions: Sequence[Question]) -> list[Question]:
    """The questions that this process asks: those of every so-many-th picture, so that a picture is read by one alone."""
    numbers = {sample: number for number, sample in enumerate(dict.fromkeys(q.sample for q in questions))}
    return [question for question in questions if numbers[question.sample] % world_size() == rank()]


def part(path: Path, number: int) -> Path:
    """The file of one process beside the file of all."""
    return path.with_name(f"{path.stem}.rank{number}{path.suffix}")


def parts(path: Path) -> list[Path]:
    """The files of processes, also of an earlier start with another number of them."""
    return sorted(path.parent.glob(f"{path.stem}.rank*{path.suffix}"))


def answered(path: Path) -> dict[str, Record]:
    """Everything answered so far, in the file of all and in those of the processes; what failed is not among it."""
    found: dict[str, Record] = {}
    for file in (path, *parts(path)):
        found |= {id_: record for id_, record in read_records(file).items() if record.error is None}
    return found


def gather(path: Path, questions: Sequence[Question], mine: Mapping[str, Record]) -> dict[str, Record]:
    """Wait until every question is answered by somebody, or has failed; rank 0 then merges the files.

    Args:
        path: The file of all.
        questions: All of them.
        mine: What this process knows, its failures among it.
    """
    while True:
        found = dict(mine)
        for file in (path, *parts(path)):
            found = {**read_records(file), **found}
        if all(question.id in found for question in questions):
            break
        time.sleep(PAUSE)
    if rank() == 0:
        write_records(path, [found[question.id] for question in questions])
        for file in parts(path):
            file.unlink(missing_ok=True)
    return found


def absorb(path: Path) -> None:
    """One process goes on where several were: what is in their files goes into the file of all."""
    if left := parts(path):
        write_records(path, list(answered(path).values()))
        for file in left:
            file.unlink(missing_ok=True)


def forget(paths: Iterable[Path]) -> None:
    """Remove files of earlier answers, those of processes among them.

    Raises:
        EvaluationError: There are several processes, and one could remove what another has just written.
    """
    if world_size() > 1:
        raise EvaluationError(
            "answers are forgotten by one process alone: start once without torchrun, or choose another folder"
        )
    for path in paths:
        for file in (path, *parts(path)):
            file.unlink(missing_ok=True)
