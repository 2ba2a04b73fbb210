"""Options of `triptych evaluate` that do not apply are refused, never passed over in silence."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from triptych.cli.commands.evaluate.benchmarks import EvaluateOptions, evaluate_any
from triptych.errors import RecipeError

RECIPES = Path(__file__).parents[2] / "recipes"


@pytest.fixture
def run(tmp_path: Path) -> str:
    """A folder with a recipe of a task `scenes` and nothing else: what is refused is refused before weights are read."""
    shutil.copy(RECIPES / "quickstart.yaml", tmp_path / "recipe.yaml")
    return str(tmp_path)


@pytest.mark.parametrize(
    ("names", "given", "told"),
    [
        (["scenes"], EvaluateOptions(shots=4), "`--shots` is for benchmarks, and `scenes` is a task of the recipe"),
        (None, EvaluateOptions(control=True), "`--control` is for benchmarks, and the tasks are those of the recipe"),
        (None, EvaluateOptions(data=Path("x")), "`--data` is for benchmarks"),
        (["scenes", "pope"], EvaluateOptions(likelihood="letter", data=Path("x")), "`--likelihood` is for benchmarks"),
        (["scenes"], EvaluateOptions(features=Path("x")), "`--features` is for pictures:FOLDER"),
    ],
)
def test_of_a_run(run: str, names: list[str] | None, given: EvaluateOptions, told: str) -> None:
    with pytest.raises(RecipeError) as caught:
        evaluate_any(run, names, given)
    assert told in str(caught.value)


@pytest.mark.parametrize(
    ("model", "given", "told"),
    [
        ("degenerate:empty", EvaluateOptions(judge="openai:http://localhost/v1"), "`--judge` is for free answers"),
        ("degenerate:empty", EvaluateOptions(java=True), "`--java` is for captions, and pope asks for none"),
        ("pictures:somewhere", EvaluateOptions(shots=1), "`--shots` is for models that answer"),
    ],
)
def test_of_others(model: str, given: EvaluateOptions, told: str) -> None:
    with pytest.raises(RecipeError) as caught:
        evaluate_any(model, ["pope"], given)
    assert told in str(caught.value)
