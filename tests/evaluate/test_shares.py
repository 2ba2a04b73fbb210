"""Files of several processes: what is forgotten, what is merged, and who waits for whom."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest
from tests.evaluate.fakes import FakeScenes, noisy, seer

from triptych.errors import EvaluationError
from triptych.evaluate import shares
from triptych.evaluate.config import ScenesTaskConfig
from triptych.evaluate.records import read_records, write_records
from triptych.evaluate.run import evaluate

TASK = ScenesTaskConfig(kind="scenes", data="worlds", control=False)


def left_behind(folder: Path) -> Path:
    """All answers of an earlier model, as two processes leave them that were killed before they merged them."""
    source = FakeScenes(6)
    evaluate(noisy(source, 0.0), source, TASK, folder, fingerprint="old", progress=False)
    path = folder / "evaluation" / "worlds.jsonl"
    records = list(read_records(path).values())
    for number in (0, 1):
        write_records(shares.part(path, number), records[number::2])
    path.unlink()
    return path


def test_evaluating_anew_forgets_what_processes_left(tmp_path: Path) -> None:
    path, source = left_behind(tmp_path), FakeScenes(6)
    evaluate(seer(source), source, TASK, tmp_path, fingerprint="new", fresh=True, progress=False)
    assert {record.correct for record in read_records(path).values()} == {True}
    assert shares.parts(path) == []


def test_one_process_takes_over_what_several_answered(tmp_path: Path) -> None:
    path, source = left_behind(tmp_path), FakeScenes(6)
    who = seer(source)
    evaluate(who, source, TASK, tmp_path, fingerprint="old", progress=False)
    assert who.asked == [] and shares.parts(path) == [] and len(read_records(path)) == 36


def test_several_processes_forget_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path, source = left_behind(tmp_path), FakeScenes(6)
    monkeypatch.setenv("WORLD_SIZE", "2")
    with pytest.raises(EvaluationError, match="one process alone"):
        evaluate(seer(source), source, TASK, tmp_path, fingerprint="new", fresh=True, progress=False)
    assert len(shares.answered(path)) == 36


def test_what_failed_at_an_earlier_start_is_asked_again_by_who_comes_late(tmp_path: Path) -> None:
    """Rank 0 has nothing to ask and comes first: it must wait for rank 1, and not take its old failure for an answer."""
    path = left_behind(tmp_path)
    theirs = shares.part(path, 1)
    first, *others = read_records(theirs).values()
    write_records(theirs, [replace(first, answer="", error="no such file"), *others])
    processes = []
    for number in ("0", "1"):
        environment = {**os.environ, "RANK": number, "WORLD_SIZE": "2", "PYTHONPATH": os.pathsep.join([".", *sys.path])}
        processes.append(subprocess.Popen([sys.executable, __file__, str(tmp_path), number], env=environment))
    assert [process.wait(timeout=60) for process in processes] == [0, 0]
    records = read_records(path)
    assert [record.error for record in records.values()] == [None] * 36
    assert records[first.id].correct and shares.parts(path) == []


if __name__ == "__main__":
    time.sleep(float(sys.argv[2]))
    evaluate(seer(FakeScenes(6)), FakeScenes(6), TASK, Path(sys.argv[1]), fingerprint="old", progress=False)
