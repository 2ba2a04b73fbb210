"""Text that comes from data, or from a model, is shown as it stands: it is never terminal markup."""

from __future__ import annotations

import io
import json
from pathlib import Path

import pytest
from rich.console import Console as RichConsole
from test_program import run

from tiny_world import World
from triptych.cli.commands.evaluate.recipe_tasks import score_table
from triptych.evaluate.results import Baseline, Interval, RuleResult, TaskResult, Unparsed
from triptych.recipe import dump_recipe
from triptych.training.progress import Console

HOSTILE = "[/] [bold red]kind[/bold] [link=file:///etc]x"


def test_kinds_of_questions_are_no_markup() -> None:
    score = {HOSTILE: Interval(value=0.5, low=0.4, high=0.6, n=4)}
    other = {f"other {HOSTILE}": Interval(value=0.5, low=0.4, high=0.6, n=4)}
    result = TaskResult(
        kind="question", dataset="d", samples=1, questions=4, prompt="", parser={}, generation={}, seconds=1.0,
        questions_per_second=4.0, metrics=score, unparsed=Unparsed(count=0, share=0.0),
        baselines={HOSTILE: Baseline(metrics=score, difference=score)},
        rules={HOSTILE: RuleResult.model_construct(metrics=other, unparsed=Unparsed(count=0, share=0.0), official=True)},
    )  # fmt: skip
    stream = io.StringIO()
    RichConsole(file=stream, width=400).print(score_table(HOSTILE, result))
    assert stream.getvalue().count(HOSTILE) >= 4


def test_training_says_what_it_is_given(capsys: pytest.CaptureFixture[str]) -> None:
    console = Console()
    console.rich.width = 400
    console.say(HOSTILE)
    with console.bar(HOSTILE, 0, 1):
        pass
    assert capsys.readouterr().err.count(HOSTILE) >= 2


def test_inspect_shows_the_names_and_reasons_of_records_as_they_stand(world: World, tmp_path: Path) -> None:
    records = [
        {"id": HOSTILE, "image": "00.png", "conversations": [{"from": "human", "value": "<image>\n[/]"}, {"from": "gpt", "value": "[/red]"}]},
        {"id": "bad", "image": HOSTILE, "conversations": [{"from": "human", "value": "<image>"}, {"from": "gpt", "value": "x"}]},
    ]  # fmt: skip
    (tmp_path / "data.json").write_text(json.dumps(records))
    path = tmp_path / "recipe.yaml"
    data = {"kind": "llava", "path": str(tmp_path / "data.json"), "images": str(world.folder / "pictures")}
    path.write_text(dump_recipe(world.recipe({"data.colours": data})))
    shown = " ".join(run("inspect", path, "--sample", 0).split())
    assert HOSTILE in shown
