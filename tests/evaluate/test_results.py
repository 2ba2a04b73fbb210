from __future__ import annotations

import json
from pathlib import Path

import pytest
from tests.evaluate.fakes import FakeScenes, noisy

from triptych.errors import EvaluationError
from triptych.evaluate.config import ScenesTaskConfig
from triptych.evaluate.results import TaskResult, load_results, record_results, save_results
from triptych.evaluate.run import evaluate


@pytest.fixture
def result(tmp_path: Path) -> TaskResult:
    source = FakeScenes(10)
    return evaluate(noisy(source, 0.8), source, ScenesTaskConfig(data="worlds"), tmp_path / "run", progress=False)


def test_results_are_read_as_written(tmp_path: Path, result: TaskResult) -> None:
    written = record_results(tmp_path / "run", {"scenes": result}, {"fingerprint": "f"})
    assert load_results(tmp_path / "run") == load_results(tmp_path / "run" / "results.json") == written
    assert written.tasks["scenes"] == result
    assert written.run == "run"
    plain = json.loads((tmp_path / "run" / "results.json").read_text())
    assert {"value", "low", "high", "n"} == set(plain["tasks"]["scenes"]["metrics"]["place_accuracy"])
    assert {"run", "triptych", "date", "hardware", "versions", "commit", "model", "tasks"} <= set(plain)


def test_tasks_are_kept_side_by_side_until_the_model_changes(tmp_path: Path, result: TaskResult) -> None:
    run = tmp_path / "run"
    record_results(run, {"a": result}, {"fingerprint": "1"})
    assert set(record_results(run, {"b": result}, {"fingerprint": "1"}).tasks) == {"a", "b"}
    assert set(record_results(run, {"b": result}, {"fingerprint": "2"}).tasks) == {"b"}


def test_writing_leaves_the_old_file_or_the_new_one(
    tmp_path: Path, result: TaskResult, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = tmp_path / "run"
    before = record_results(run, {"a": result}, {"fingerprint": "1"})

    def full(_: int) -> None:
        raise OSError("the disk is full")

    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(OSError, match="full"):
        save_results(before.model_copy(update={"tasks": {}}), run)
    assert load_results(run) == before
    assert [path.name for path in run.glob(".*")] == []


def test_keys_of_a_later_version_are_kept(tmp_path: Path, result: TaskResult) -> None:
    written = record_results(tmp_path / "run", {"a": result}, {"fingerprint": "1"})
    path = tmp_path / "run" / "results.json"
    plain = json.loads(path.read_text()) | {"later": [1]}
    path.write_text(json.dumps(plain))
    save_results(load_results(path), path)
    assert json.loads(path.read_text())["later"] == [1]
    assert load_results(path).tasks == written.tasks


@pytest.mark.parametrize(
    ("content", "message"), [("{", "JSON"), ('{"run": "x"}', "triptych"), ("[]", "not a results file")]
)
def test_a_file_that_holds_no_results_is_told(tmp_path: Path, content: str, message: str) -> None:
    (tmp_path / "results.json").write_text(content)
    with pytest.raises(EvaluationError, match=message):
        load_results(tmp_path)


def test_a_run_that_was_not_evaluated_says_how(tmp_path: Path) -> None:
    with pytest.raises(EvaluationError, match="triptych evaluate"):
        load_results(tmp_path)
