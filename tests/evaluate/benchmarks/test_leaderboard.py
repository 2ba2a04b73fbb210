"""Leaderboards: who is ranked with whom, what a cell says, where two models disagree."""

from __future__ import annotations

from pathlib import Path
from types import ModuleType

import pytest

from triptych.errors import EvaluationError
from triptych.evaluate.benchmarks import catalogue
from triptych.evaluate.benchmarks.readers import read
from triptych.evaluate.benchmarks.run import Options, run_benchmark
from triptych.evaluate.benchmarks.task import BenchmarkTask
from triptych.evaluate.responders.degenerate import Degenerate
from triptych.evaluate.results import Interval, TaskResult, Unparsed, record_results


class TestLeaderboard:
    def test_models_side_by_side(self, people: ModuleType, data: Path, tmp_path: Path) -> None:
        from triptych.report.leaderboard import write_leaderboard

        for name in ("pope-official", "gqa"):
            file = catalogue.load(name)
            oracle = people.Oracle(BenchmarkTask(file, read(file, data)))
            for run, who in (("knows", oracle), ("always-yes", Degenerate("always-yes"))):
                done = run_benchmark(file, who, tmp_path / run, run, Options(data=data, progress=False))
                record_results(tmp_path / run, {name: done}, {"fingerprint": run})
        page = write_leaderboard([tmp_path / "always-yes", tmp_path / "knows"], tmp_path / "board")
        table = (tmp_path / "board" / "leaderboard.md").read_text()
        rows = [line.split(" | ")[0] for line in table.splitlines()[2:4]]
        assert rows == ["| knows", "| always-yes"]
        assert "**1.000 (1.000–1.000)**" in table and "0.667 (0.667–0.667)\\*" in table
        html = page.read_text()
        assert 'href="disagreements-1.html"' in html and "sha256-" in html
        pair = (tmp_path / "board" / "disagreements-1.html").read_text()
        assert "data:image/" in pair and "Is there a" in pair
        assert "always-yes scores −0.333" in pair

    def test_who_was_asked_other_questions_stands_in_another_column(self, data: Path, tmp_path: Path) -> None:
        from triptych.report.leaderboard import write_leaderboard

        file = catalogue.load("pope-official")
        for run, limit in (("all", None), ("also-all", None), ("some", 24)):
            options = Options(data=data, progress=False, limit=limit)
            done = run_benchmark(file, Degenerate("always-yes"), tmp_path / run, run, options)
            record_results(tmp_path / run, {file.name: done}, {"fingerprint": run})
        write_leaderboard([tmp_path / run for run in ("all", "also-all", "some")], tmp_path / "board")
        table = (tmp_path / "board" / "leaderboard.md").read_text().splitlines()
        assert table[0].count("pope-official (F1)") == 2
        cells = {line.split(" | ")[0].strip("| "): line.split(" | ")[1:3] for line in table[2:5]}
        assert cells["some"][0] == "–" and cells["all"][1] == cells["also-all"][1] == "–"
        assert len(list((tmp_path / "board").glob("disagreements-*.html"))) == 1  # nobody is paired with `some`

    def test_a_folder_without_results_is_told(self, tmp_path: Path) -> None:
        from triptych.report.leaderboard import write_leaderboard

        with pytest.raises(EvaluationError, match="there are no results"):
            write_leaderboard([tmp_path], tmp_path / "board")

    def test_of_few_shots_the_most_count(self) -> None:
        from triptych.report.leaderboard import headline

        half = Interval(value=0.5, low=0.4, high=0.6, n=10)
        names = ("0_shots_accuracy", "4_shots_accuracy", "16_shots_accuracy", "gain_0_to_16_shots")
        result = TaskResult(
            kind="episodes", dataset="d", samples=1, questions=1, prompt="", parser={}, generation={}, seconds=1.0,
            questions_per_second=1.0, metrics=dict.fromkeys(names, half), unparsed=Unparsed(count=0, share=0.0, by_kind={}),
        )  # fmt: skip
        assert headline(result) == "16_shots_accuracy"
        assert headline(result.model_copy(update={"facts": {"headline": "gain_0_to_16_shots"}})) == "gain_0_to_16_shots"
