"""Every benchmark in miniature: who knows nothing is not rewarded, who knows the truth is; malformed data is located."""

from __future__ import annotations

from pathlib import Path
from types import ModuleType

import pytest

from triptych.evaluate.benchmarks import catalogue
from triptych.evaluate.benchmarks.readers import read
from triptych.evaluate.benchmarks.run import Options, run_benchmark
from triptych.evaluate.benchmarks.task import BenchmarkTask
from triptych.evaluate.responders.degenerate import KINDS, Degenerate

RETRIEVAL = [name for name in catalogue.names() if catalogue.load(name).metric == "retrieval"]
ANSWERED = [name for name in catalogue.names() if name not in RETRIEVAL and catalogue.load(name).metric != "images"]


@pytest.mark.parametrize("name", RETRIEVAL)
def test_directions_that_look_at_nothing_find_what_chance_finds(
    name: str, people: ModuleType, data: Path, tmp_path: Path
) -> None:
    file = catalogue.load(name)
    items = read(file, data)
    for kind in ("same", "random", "hub"):
        done = run_benchmark(file, people.Directions(kind, items), tmp_path / kind, kind, Options(data=data))
        assert done.metrics[file.headline].low <= done.chance[file.headline] + 1e-9, kind
    knows = run_benchmark(file, people.Directions("truth", items), tmp_path / "truth", "truth", Options(data=data))
    assert knows.metrics[file.headline].value > 0.8  # captions that two pictures share are right for both


@pytest.mark.parametrize("name", ANSWERED)
class TestEveryBenchmark:
    def test_no_degenerate_model_beats_chance(self, name: str, people: ModuleType, data: Path, tmp_path: Path) -> None:
        file = catalogue.load(name)
        for kind in KINDS:
            judge = people.StrictJudge(file.judge.read, file.judge.scale) if file.judge else None
            done = run_benchmark(
                file, Degenerate(kind), tmp_path / kind, kind, Options(data=data, progress=False, judge=judge)
            )
            score = done.metrics.get(file.headline)
            chance = done.chance.get(file.headline, 0.1)  # LLaVA-Bench's lowest grade is one of ten
            assert score is None or score.low <= chance + 1e-9, (kind, score, chance)
            if kind == "empty":
                assert done.unparsed.share == 1.0

    def test_the_truth_scores_best(self, name: str, people: ModuleType, data: Path, tmp_path: Path) -> None:
        file = catalogue.load(name)
        oracle = people.Oracle(BenchmarkTask(file, read(file, data)))
        judge = people.StrictJudge(file.judge.read, file.judge.scale) if file.judge else None
        done = run_benchmark(file, oracle, tmp_path, "truth", Options(data=data, progress=False, judge=judge))
        score = done.metrics[file.headline]
        assert score.value > done.chance.get(file.headline, 0.1)
        if file.metric not in ("caption", "vqa"):  # people disagree about those
            assert score.value == pytest.approx(1.0)
        assert done.facts["paper"] and len(done.facts["dataset_sha256"]) == 16

    def test_absent_data_says_what_to_get_and_where_to_put_it(self, name: str, tmp_path: Path) -> None:
        file = catalogue.load(name)
        with pytest.raises(Exception, match="Get: ") as caught:
            read(file, tmp_path)
        assert str(tmp_path / file.data.folder / file.data.put[0]) in str(caught.value)

    def test_the_file_is_short(self, name: str) -> None:
        lines = (catalogue.FOLDER / name / "task.yaml").read_text("utf-8").splitlines()
        assert len(lines) <= 100
