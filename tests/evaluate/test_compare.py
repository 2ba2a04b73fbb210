from __future__ import annotations

import json
from pathlib import Path

import pytest
from tests.evaluate.fakes import Fake, FakeCaptions, FakeScenes, noisy

from triptych.conversation import Conversation
from triptych.errors import EvaluationError
from triptych.evaluate.compare import Cost, Row, compare
from triptych.evaluate.config import CaptionsTaskConfig, ScenesTaskConfig
from triptych.evaluate.results import record_results
from triptych.evaluate.run import evaluate
from triptych.generate.config import GenerationSettings, Responder

SOURCE = FakeScenes(100)
STAGES = [
    {
        "name": "align",
        "steps": 10,
        "seconds": 60.0,
        "samples": 80,
        "peak_memory_bytes": 5,
        "parts": [
            {"part": "adapters.image", "parameters": 7, "trained": True},
            {"part": "language", "parameters": 100, "trained": False},
        ],
    },
    {
        "name": "instruct",
        "steps": 5,
        "seconds": 90.0,
        "samples": 40,
        "peak_memory_bytes": 9,
        "parts": [
            {"part": "adapters.image", "parameters": 7, "trained": 7},
            {"part": "language", "parameters": 100, "trained": 20},
        ],
    },
]


def run(folder: Path, responder: Responder, source: FakeScenes = SOURCE, **settings: object) -> Path:
    task = ScenesTaskConfig(data="worlds", **settings)  # type: ignore[arg-type]
    result = evaluate(responder, source, task, folder, progress=False)
    record_results(folder, {"scenes-test": result}, {"fingerprint": folder.name})
    (folder / "evaluation/worlds.jsonl").rename(folder / "evaluation/scenes-test.jsonl")
    (folder / "run.json").write_text(json.dumps({"stages": STAGES}))
    return folder


def row(rows: list[Row], metric: str) -> Row:
    return next(row for row in rows if row.metric == metric)


def test_runs_stand_side_by_side(tmp_path: Path) -> None:
    a, b = run(tmp_path / "a", noisy(SOURCE, 0.6)), run(tmp_path / "b", noisy(SOURCE, 0.9, seed=1))
    table = compare([a, b])
    assert [column.name for column in table.runs] == ["a", "b"]
    macro = row(table.rows, "macro_accuracy")
    first, second = macro.scores
    assert first is not None
    assert second is not None
    assert first.high < second.low
    assert macro.differences[0] is None
    difference = macro.differences[1]
    assert difference is not None
    assert difference.value == pytest.approx(second.value - first.value)
    assert 0 < difference.low < 0.3 < difference.high
    assert all(control is not None for control in macro.control)
    assert macro.chance[0] == macro.chance[1]
    assert table.notes == []


def test_cost_is_over_all_stages(tmp_path: Path) -> None:
    cost = compare([run(tmp_path / "a", noisy(SOURCE, 0.6))]).runs[0].cost
    assert cost == Cost(seconds=150.0, samples=120, steps=15, trained_parameters=27, peak_memory_bytes=9)


def test_only_shared_questions_are_paired(tmp_path: Path) -> None:
    a = run(tmp_path / "a", noisy(SOURCE, 0.6))
    b = run(tmp_path / "b", noisy(SOURCE, 0.6), limit=120)
    table = compare([a, b])
    difference = row(table.rows, "macro_accuracy").differences[1]
    assert difference is not None
    assert (difference.value, difference.n) == (0, 120)  # the same answers to the questions that both were asked
    assert table.notes == ["scenes-test: the difference of b and a is over the 120 questions asked of both"]


class Later(FakeScenes):
    """The same worlds, without the first thirty."""

    def __len__(self) -> int:
        return self.count - 30

    def __getitem__(self, index: int) -> Conversation:
        return super().__getitem__(index + 30)


def test_pictures_are_paired_by_what_they_are_and_not_by_their_number(tmp_path: Path) -> None:
    a, b = run(tmp_path / "a", noisy(SOURCE, 0.6)), run(tmp_path / "b", noisy(SOURCE, 0.6), Later(100))
    difference = row(compare([a, b]).rows, "macro_accuracy").differences[1]
    assert difference is not None
    assert (difference.value, difference.low, difference.high, difference.n) == (0, 0, 0, 420)


def test_runs_about_other_questions_are_not_paired(tmp_path: Path) -> None:
    other = FakeScenes(100, seed=3)
    a, b = run(tmp_path / "a", noisy(SOURCE, 0.6)), run(tmp_path / "b", Fake(lambda *_: "yes"), other)
    (tmp_path / "b/evaluation/scenes-test.jsonl").write_text(
        (tmp_path / "b/evaluation/scenes-test.jsonl").read_text().replace('"worlds/', '"other/')
    )
    table = compare([a, b])
    assert row(table.rows, "macro_accuracy").differences == [None, None]
    assert table.notes == ["scenes-test: b and a share no question, so their difference has no interval"]


def test_other_settings_are_noted(tmp_path: Path) -> None:
    a = run(tmp_path / "a", noisy(SOURCE, 0.6))
    b = run(tmp_path / "b", noisy(SOURCE, 0.6), generation=GenerationSettings(max_new_tokens=3))
    assert "scenes-test: b and a were asked with different prompts or generation settings" in compare([a, b]).notes


def test_folders_of_one_name_are_told_apart_and_missing_accounts_noted(tmp_path: Path) -> None:
    a, b = run(tmp_path / "x/a", noisy(SOURCE, 0.6)), run(tmp_path / "y/a", noisy(SOURCE, 0.6))
    (b / "run.json").unlink()
    table = compare([a, b])
    assert [column.name for column in table.runs] == [str(a), str(b)]
    assert table.runs[1].cost == Cost()
    assert any("no run.json" in note for note in table.notes)


def test_captions_are_compared_pairwise(tmp_path: Path) -> None:
    source = FakeCaptions(12)
    folders = []
    for name, which in (("quotes", 0), ("constant", None)):
        folder = tmp_path / name

        def say(key: str, _: str, which: int | None = which) -> str:
            return "A dog." if which is None else source.references(int(key.rsplit("/", 1)[1]))[which]

        result = evaluate(Fake(say), source, CaptionsTaskConfig(data="photos"), folder, progress=False)
        record_results(folder, {"photos": result}, {"fingerprint": name})
        folders.append(folder)
    difference = row(compare(folders).rows, "cider_d").differences[1]
    assert difference is not None
    assert difference.high < 0


def test_what_is_no_run_is_told(tmp_path: Path) -> None:
    with pytest.raises(EvaluationError, match="at least one"):
        compare([])
    with pytest.raises(EvaluationError, match="there are no results"):
        compare([tmp_path])
    a = run(tmp_path / "a", noisy(SOURCE, 0.6))
    (a / "run.json").write_text('{"stages": 3}')
    with pytest.raises(EvaluationError, match=r"run\.json: not the account of a run"):
        compare([a])
