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
from dataclasses import dataclass
from pathlib import Path

from triptych.errors import EvaluationError
from triptych.evaluate.records import RecordFile, read_records, write_records
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


@dataclass(frozen=True)
class Share:
    """What one of several processes writes, and how it meets the others.

    Failures count only in files of this start: every process makes its file anew, without earlier failures, before it asks,
    and touches it while it waits; so rank 0 knows files that are newer than its own beginning for those of this start.

    Args:
        path: The file of all.
        file: That of this process.
        begun: When rank 0's file was made (mtime, nanoseconds, by the clock of the file system that all share).
    """

    path: Path
    file: RecordFile
    begun: int

    @classmethod
    def begin(cls, path: Path) -> Share:
        """Make this process's file: what it answered at an earlier start, without what failed."""
        mine = part(path, rank())
        file = RecordFile(mine, [record for record in read_records(mine).values() if record.error is None])
        return cls(path, file, mine.stat().st_mtime_ns)

    def gather(self, questions: Sequence[Question], mine: Mapping[str, Record]) -> dict[str, Record]:
        """Wait until every question is answered by somebody, or has failed; rank 0 then merges the files.

        Args:
            questions: All of them.
            mine: What this process knows, its failures among it.
        """
        if rank() > 0:
            while self._waits():
                time.sleep(PAUSE)
            return read_records(self.path)
        while (found := self._found(mine)) is None or any(question.id not in found for question in questions):
            time.sleep(PAUSE)
        write_records(self.path, [found[question.id] for question in questions])
        for file in parts(self.path):
            file.unlink(missing_ok=True)
        return found

    def _waits(self) -> bool:
        """Whether this process's file is there still: rank 0 removes it once it has merged all of them."""
        try:
            os.utime(part(self.path, rank()))
        except FileNotFoundError:
            return False
        return True

    def _found(self, mine: Mapping[str, Record]) -> dict[str, Record] | None:
        """Everything known to rank 0, or None while another process has not begun."""
        failed: dict[str, Record] = {}
        for number in range(1, world_size()):
            file = part(self.path, number)
            if not file.exists() or file.stat().st_mtime_ns <= self.begun:
                return None
            failed |= read_records(file)
        return {**failed, **mine, **answered(self.path)}


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
