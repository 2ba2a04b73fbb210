"""One engine, and metrics and tasks of one's own: the examples of `docs/extending` run as they stand."""

from __future__ import annotations

import re
import sys
from pathlib import Path
from typing import Any

import pytest
from pydantic import TypeAdapter, ValidationError
from tests.evaluate.fakes import CAPTIONS, Fake, FakeCaptions, FakeScenes, seer

from triptych.errors import EvaluationError, RecipeError
from triptych.evaluate import metrics
from triptych.evaluate.benchmarks import catalogue
from triptych.evaluate.benchmarks.config import Judge
from triptych.evaluate.benchmarks.readers import read
from triptych.evaluate.benchmarks.run import Options, run_benchmark
from triptych.evaluate.compare import tally_of
from triptych.evaluate.config import ScenesTaskConfig, TaskConfig
from triptych.evaluate.responders.predictions import Predictions
from triptych.evaluate.run import evaluate
from triptych.evaluate.scoring.metric import AnswerMetric, Scoring
from triptych.evaluate.scoring.rule import OURS
from triptych.registry import code_names

ROOT = Path(__file__).parents[3]
SOURCE = FakeScenes(30)


@pytest.fixture
def page(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Puts the first example of a page of `docs/extending` on the path."""
    monkeypatch.syspath_prepend(str(tmp_path))

    def put(name: str) -> None:
        text = (ROOT / "docs" / "extending" / f"{name}.md").read_text("utf-8")
        code = re.findall(r"```python\n# (\w+\.py)\n(.*?)```", text, flags=re.S)
        for file, content in code:
            (tmp_path / file).write_text(content)
            monkeypatch.delitem(sys.modules, file.removesuffix(".py"), raising=False)

    return put


def task(**values: Any) -> Any:
    return TypeAdapter(TaskConfig).validate_python(values)


def test_results_are_made_in_one_place() -> None:
    files = (ROOT / "src" / "triptych").rglob("*.py")
    assert [path.name for path in files if re.search(r"\bTaskResult\((?!_Read)", path.read_text("utf-8"))] == [
        "engine.py"
    ]


@pytest.mark.parametrize("name", metrics.names())
def test_a_metric_says_what_it_is(name: str) -> None:
    metric = metrics.build(name, Scoring(judge=Judge(prompt="{answer}", read="pair", scale=10)))
    assert metric.name == name and metric.inputs and type(metric).__doc__
    if isinstance(metric, AnswerMetric):
        assert next(iter(metric.rules)) == OURS
        without_script = {OURS} | ({"exact"} if name == "mixed" else set())  # RealWorldQA has none
        assert set(metric.rules) - set(metric.official) == without_script


def test_every_benchmark_names_a_metric_that_has_its_rules() -> None:
    for file in catalogue.everything():
        metric = file.build_metric()
        assert metric.needs in ("embeds", "draws") or set(file.rules) <= set(metric.rules)  # type: ignore[attr-defined]


class TestMetricOfOnesOwn:
    def test_beside_the_metrics_of_a_recipes_task(self, page: Any, tmp_path: Path) -> None:
        page("metric")
        config = task(kind="scenes", data="scenes", metrics=["my_metrics:Overlap", "exact"])
        result = evaluate(seer(SOURCE), SOURCE, config, tmp_path, progress=False)
        assert result.metrics["overlap_accuracy"].value == result.metrics["exact_accuracy"].value == 1.0
        assert result.metrics["overlap_naming_accuracy"].n == 30
        assert 0 < result.chance["exact_accuracy"] < 1 and result.control["overlap_accuracy"].value < 1
        plain = evaluate(seer(SOURCE), SOURCE, ScenesTaskConfig(data="scenes"), tmp_path, progress=False)
        assert {k: v for k, v in result.metrics.items() if not k.startswith(("overlap", "exact"))} == plain.metrics

    def test_of_a_benchmark(self, page: Any, data: Path, tmp_path: Path) -> None:
        page("metric")
        file = catalogue.load("gqa").model_copy(update={"metric": "my_metrics:Overlap", "rules": (OURS,)})
        (tmp_path / "answers.tsv").write_text(
            "id\tanswer\n" + "".join(f"{item.id}\tIt is {item.truth}\n" for item in read(file, data))
        )
        done = run_benchmark(file, Predictions(tmp_path / "answers.tsv"), tmp_path, "x", Options(data=data))
        assert done.metrics["accuracy"].value == 1.0

    @pytest.mark.parametrize(
        ("word", "told"),
        [
            ("exakt", r"'exakt' is not known; did you mean 'exact'\? .*package\.module:Class"),
            ("hallusion", r"has no group, question, figure, shown, which the metric `hallusion` needs"),
            ("nowhere.at_all:Mine", "there is no module 'nowhere'"),
            ("json:JSONDecoder", "must be a subclass of triptych.evaluate.scoring.metric.Metric"),
        ],
    )
    def test_what_cannot_be_is_told(self, word: str, told: str, tmp_path: Path) -> None:
        with pytest.raises((ValidationError, RecipeError, EvaluationError), match=told):
            evaluate(seer(SOURCE), SOURCE, task(kind="scenes", data="s", metrics=[word]), tmp_path, progress=False)


class TestTaskOfOnesOwn:
    def test_it_is_asked_resumed_and_scored(self, page: Any, tmp_path: Path) -> None:
        page("task")
        config = task(kind="my_tasks:OneWord", data="photos", place=1)
        responder = Fake(lambda key, _: CAPTIONS[int(key.rsplit("/", 1)[1]) % 6].split()[1])
        source = FakeCaptions(12)
        result = evaluate(responder, source, config, tmp_path, progress=False)
        assert result.kind == "my_tasks:OneWord" and result.metrics["accuracy"].value == 1.0
        assert result.control["accuracy"].value < 0.5
        again = evaluate(Fake(lambda *_: "never"), source, config, tmp_path, progress=False)
        assert again.metrics == result.metrics
        with pytest.raises(EvaluationError, match="place: 1 → 0"):
            evaluate(responder, source, task(kind="my_tasks:OneWord", data="photos"), tmp_path, progress=False)
        with pytest.raises(ValidationError, match="plaice"):
            task(kind="my_tasks:OneWord", data="photos", plaice=1)

    def test_code_is_not_run_because_a_results_file_names_it(self, page: Any, tmp_path: Path) -> None:
        page("task")
        config = task(kind="my_tasks:OneWord", data="photos", control=False)
        result = evaluate(Fake(lambda *_: "a"), FakeCaptions(6), config, tmp_path, progress=False)
        with pytest.raises(EvaluationError, match="cannot be compared"):
            tally_of(result, [])

    def test_a_recipe_that_names_a_metric_names_code(self) -> None:
        assert list(code_names({"evaluation": {"a": {"kind": "scenes", "metrics": ["exact", "x.y:Z"]}}})) == ["x.y:Z"]

    def test_a_model_that_cannot_answer_is_told_what_it_can(self, tmp_path: Path) -> None:
        class Points:
            def ground_many(self, pairs: Any) -> Any: ...

        with pytest.raises(EvaluationError, match="is answered in words, and this model answers nothing"):
            evaluate(Points(), SOURCE, ScenesTaskConfig(data="s"), tmp_path)
        with pytest.raises(EvaluationError, match="does not point"):
            evaluate(seer(SOURCE), SOURCE, task(kind="grounding", data="s"), tmp_path)
