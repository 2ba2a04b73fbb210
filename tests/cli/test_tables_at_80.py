"""Every table that a command prints, at 80 columns: names whole, no column empty, the score that counts first."""

from __future__ import annotations

import io
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from rich.console import Console
from tests.report import fake_run

import tiny_blip2
import tiny_boxes
import tiny_dual
from parity.check import Check
from parity.run import Verdict
from rendered import check_readable, columns_of, rendered
from tiny_world import World
from triptych.cli.commands.evaluate.recipe_tasks import score_table
from triptych.console import make_console
from triptych.doctor import diagnose
from triptych.doctor import render as render_checks
from triptych.evaluate.benchmarks import catalogue
from triptych.evaluate.results import Baseline, Interval, RuleResult, TaskResult, Unparsed
from triptych.planner import plan, render
from triptych.recipe import dump_recipe, load_recipe, preset_names
from triptych.recipe.included import preset_path
from triptych.report import compare_table
from triptych.training.config import StageConfig
from triptych.training.parts import PartState
from triptych.training.progress import Console as TrainingConsole


@pytest.fixture
def printed(monkeypatch: pytest.MonkeyPatch) -> Callable[..., str]:
    """What a function prints where the terminal has 80 columns."""

    def call(function: Callable[..., Any], *arguments: object) -> str:
        stream = io.StringIO()
        module = __import__(function.__module__, fromlist=["make_console"])
        monkeypatch.setattr(module, "make_console", lambda **_: Console(file=stream, width=80))
        function(*arguments)
        return stream.getvalue()

    return call


def interval(value: float) -> Interval:
    return Interval(value=value, low=value - 0.02, high=value + 0.02, n=3000)


def pope() -> TaskResult:
    """A result of POPE's three splits, by two rules, as `triptych evaluate` makes it."""
    names = [
        f"coco_pope_{split}_{score}"
        for split in ("adversarial", "popular", "random")
        for score in ("accuracy", "precision", "recall", "f1", "yes_ratio")
    ]
    metrics = {name: interval(0.3 + i / 40) for i, name in enumerate([*names, "accuracy", "f1"])}
    official = {name: interval(score.value - 0.01) for name, score in metrics.items()}
    unparsed = Unparsed(
        count=12, share=0.004, reasons={"neither yes nor no, in any of the words that the rule knows": 12}
    )
    return TaskResult(
        kind="yes_no", dataset="pope", samples=500, questions=9000, prompt="", parser={}, generation={}, seconds=900.0,
        questions_per_second=10.0, metrics=metrics, unparsed=unparsed, chance={"f1": 0.667},
        baselines={"always-yes": Baseline(metrics={"f1": interval(0.6)}, difference={})},
        rules={"pope_script": RuleResult(metrics=official, unparsed=unparsed, official=True)}, facts={"headline": "f1"},
    )  # fmt: skip


def test_scores_of_a_task() -> None:
    result = pope()
    text = rendered(score_table("pope", result))
    check_readable(text, [*result.metrics, *(f"{name}, rule pope_script (official)" for name in result.metrics)])
    names, values = columns_of(text)[0][:2]
    assert names[1:3] == ["f1", "f1, rule pope_script (official)"] and values[1] == f"{result.metrics['f1'].value:.3f}"
    assert "shuffled" not in text  # there was no control


def test_presets(printed: Callable[..., str]) -> None:
    from triptych.cli.commands.zoo import zoo

    text = printed(zoo, None)
    check_readable(text, preset_names())
    for paper in ("2302.13971", "2304.08485", "2303.15343"):
        assert paper in text
    assert "language model, trained" in text  # what a system is


@pytest.mark.parametrize("preset", ["llava", "lisa", "clip", "blip2", "minigpt4-v2-mini"])
def test_a_preset_with_its_recipe(preset: str, printed: Callable[..., str]) -> None:
    from triptych.cli.commands.zoo import zoo

    text = printed(zoo, preset)
    whole = "".join(text.split())
    for line in preset_path(preset).read_text(encoding="utf-8").splitlines():
        assert "".join(line.split()) in whole


@pytest.mark.parametrize("preset", ["llava", "blip2", "clip", "minigpt4-v2-mini", "lisa"])
@pytest.mark.parametrize("count", [1, 8])
def test_plans(preset: str, count: int, tiny_cache: Path) -> None:
    made = plan(load_recipe(Path(preset)), "h100", count)
    check_readable(rendered(render(made)), [*(part.name for part in made.parts), *(s.name for s in made.stages)])


def test_plans_of_many_stages(world: World, tiny_cache: Path) -> None:
    recipe = world.recipe()
    stages = [recipe.stages[0].model_copy(update={"name": f"stage_with_a_name_{i}"}) for i in range(7)]
    made = plan(recipe.model_copy(update={"stages": stages}), "h100", 8)
    text = rendered(render(made))
    check_readable(text, [part.name for part in made.parts])
    heads = "".join("".join(" ".join(column) for table in columns_of(text) for column in table).split())
    assert all(stage.name in heads for stage in stages)


def test_this_machine() -> None:
    checks = diagnose()
    check_readable(rendered(render_checks(checks)), [check.topic for check in checks])


def test_comparisons_with_references(printed: Callable[..., str]) -> None:
    from parity.command import table

    whats = [f"CLIP, exact GELU, their weights: {what}" for what in ("states of patches", "logits", "gradients")]
    verdicts = [
        Verdict("blip-2", "f", Check(what, "transformers.Blip2QFormerModel.forward", 1.5e-6, bound), 0.1)
        for bound in (1e-5, 1e-7)
        for what in whats
    ]
    text = rendered(table(verdicts))
    check_readable(text, [*whats, "blip-2"])
    assert "✓" in text and "✗ > 1e-07" in " ".join(text.split())


def test_texts_that_fit_pictures() -> None:
    from triptych.cli.commands.match import table

    texts = [
        f"a very long caption of a picture, {i}, with many things in it that are named one after the other"
        for i in range(3)
    ]
    names = ["IMG_20240101_120000_with_a_long_name_that_a_camera_gave_to_it.png", "b.png"]
    cosines = np.array([[0.1, 0.2, 0.3], [0.3, 0.1, 0.2]])
    check_readable(
        rendered(table([Path(name) for name in names], texts, cosines, cosines, 3, "of these texts")), [*names, *texts]
    )


def test_formats_of_an_export(trained: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from triptych.cli.commands.export import show_formats
    from triptych.interchange.catalogue import FORMATS

    stream = io.StringIO()
    monkeypatch.setattr("triptych.cli.commands.export.make_console", lambda: Console(file=stream, width=80))
    show_formats(trained)
    check_readable(stream.getvalue(), [known.name for known in FORMATS])


def test_runs_side_by_side(tmp_path: Path) -> None:
    names = ["mlp-of-two-layers-trained-on-everything", "linear", "qformer", "perceiver"]
    runs = [fake_run.write_run(tmp_path / name, name, 0.9 - i / 10) for i, name in enumerate(names)]
    text = rendered(compare_table(runs))
    check_readable(text, ["scenes: existence F1", "captions: CIDEr-D", "training time"])
    heads = "".join("".join(" ".join(column) for table in columns_of(text) for column in table).split())
    assert all(name in heads for name in names)


@pytest.mark.parametrize("kind", ["composed", "blip2", "boxes", "dual"])
def test_records_as_a_recipe_reads_them(
    kind: str, world: World, tiny_cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from triptych.cli.commands.inspect import show

    stream = io.StringIO()
    for module in ("families.composed.inspect", "families.detector.inspect", "preview.pairs"):
        monkeypatch.setattr(f"triptych.{module}.make_console", lambda: Console(file=stream, width=80))
    recipes = {
        "composed": world.recipe, "blip2": lambda: tiny_blip2.recipe(world),
        "boxes": lambda: tiny_boxes.recipe(world), "dual": lambda: tiny_dual.recipe(world),
    }  # fmt: skip
    path = tmp_path / "recipe.yaml"
    path.write_text(dump_recipe(recipes[kind]()))
    show(load_recipe(path), 1, None, None)
    check_readable(stream.getvalue(), [])


def test_what_a_stage_trains() -> None:
    stream = io.StringIO()
    console = TrainingConsole()
    console.rich = Console(file=stream, width=80)
    stage = StageConfig.model_validate({"name": "align", "train": ["adapters"], "mixture": {"x": 1.0}, "steps": 3})
    names = ["encoders.image", "adapters.image", "language", "language.lora", "regions.encoder", "regions"]
    console.stage(
        0,
        2,
        stage,
        3,
        [PartState(name, 6_738_419_712, 4_194_304 * (i % 2), "bfloat16") for i, name in enumerate(names)],
    )
    check_readable(stream.getvalue(), names)


def test_benchmarks(printed: Callable[..., str]) -> None:
    from triptych.cli.commands.evaluate.benchmarks import show_benchmarks

    text = printed(show_benchmarks)
    lines = text.splitlines()
    assert max(map(len, lines)) <= 80
    for task in catalogue.everything():
        assert sum(line.split()[:1] == [task.name] for line in lines) >= 1
        assert "".join(task.title.split()) in "".join(text.split())
    assert make_console().width > 10_000  # and in a pipe, a line each: see `test_models`
