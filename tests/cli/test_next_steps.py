"""What the demo ends with can be typed as it stands."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest

from triptych.recipe import load_recipe

ROOT = Path(__file__).parents[2]
COMMANDS = (ROOT / "src/triptych/cli/next_steps.py").read_text()


@pytest.mark.parametrize(
    "command", sorted(set(re.findall(r'"triptych (?:train|plan|inspect) (recipes/[^"]*)"', COMMANDS)))
)
def test_recipes_and_changes_are_read(command: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)
    recipe, *rest = shlex.split(command)
    changes = [word for word in rest if "=" in word]
    assert load_recipe(recipe, changes).name == Path(recipe).stem
