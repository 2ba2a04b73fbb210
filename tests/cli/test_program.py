"""The command line, from help to answers."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import time
from pathlib import Path

import pytest
from typer.main import get_command
from typer.testing import CliRunner

from tiny_world import World
from triptych import cli
from triptych.errors import TriptychError
from triptych.recipe import dump_recipe

COMMANDS = [
    "train",
    "evaluate",
    "leaderboard",
    "ask",
    "ground",
    "chat",
    "match",
    "inspect",
    "plan",
    "compare",
    "report",
]
COMMANDS += ["study", "recipes", "zoo", "verify", "export", "import", "doctor", "weights"]


@pytest.fixture
def recipe(world: World, tiny_cache: Path, tmp_path: Path) -> Path:
    path = tmp_path / "tiny.yaml"
    path.write_text(dump_recipe(world.recipe()))
    return path


def run(*arguments: object, exit_code: int = 0) -> str:
    result = CliRunner().invoke(cli.app, [str(argument) for argument in arguments])
    if result.exception and not isinstance(result.exception, SystemExit):
        raise result.exception
    assert result.exit_code == exit_code, result.output
    return re.sub(r"\x1b\[[0-9;]*m", "", result.stdout)


def test_help_names_every_command_in_the_order_of_work() -> None:
    named = re.findall(r"^│ ([a-z]\S*)  ", run("--help"), re.M)
    assert named == COMMANDS


@pytest.mark.parametrize("command", [*COMMANDS, "weights fetch"])
def test_every_command_has_help(command: str) -> None:
    text = run(*command.split(), "--help")
    assert f"Usage: triptych {command} " in text
    described = get_command(cli.app)
    for name in command.split():
        described = described.commands[name]  # type: ignore[attr-defined]
    assert described.help and len(described.help.split(".")[0]) > 15
    assert [option.name for option in described.params if not option.help] == []  # type: ignore[attr-defined]


def test_help_comes_at_once() -> None:
    """Half a second is what the user may wait; the best of three leaves out what else the machine is doing."""
    took = []
    for _ in range(3):
        began = time.process_time_ns(), os.times().children_user + os.times().children_system
        subprocess.run([sys.executable, "-m", "triptych", "--help"], capture_output=True, check=True)
        took.append(os.times().children_user + os.times().children_system - began[1])
    assert min(took) < 0.9  # of processor time, on a busy machine; half of it on a quiet one


def test_train_then_ask_then_inspect(recipe: Path, world: World, tmp_path: Path) -> None:
    output = tmp_path / "run"
    picture = world.folder / "pictures" / "00.png"
    text = run("train", recipe, "stages.0.steps=1", "stages.1.steps=1", "--output", output)
    assert str(output) in text
    assert (output / "report.html").exists()
    assert "steps: 1" in (output / "recipe.yaml").read_text()
    answer = run("ask", output, "--image", picture, "What colour is this?", "--max-new-tokens", 5)
    assert answer.endswith("\n")
    assert run("ask", output, "-i", picture, "What colour is this?", "--max-new-tokens", 5) == answer
    run("train", recipe, "stages.0.steps=1", "stages.1.steps=1", "--output", output, "--resume")


def test_inspect_shows_tokens_media_and_labels(recipe: Path, tmp_path: Path) -> None:
    text = run("inspect", recipe, "--sample", 2, "--save", tmp_path / "seen.png")
    assert "image" in text
    assert "supervised" in text
    assert "blue" in text.replace("│", "")
    assert re.search(r"2:r2: \d+ tokens, 4 of them media, \d+ supervised, 2 messages left out", text)
    assert (tmp_path / "seen.png").exists()


def test_inspect_of_text_and_of_what_is_not_there(recipe: Path, world: World) -> None:
    words = "data.words={kind: llava, path: " + str(world.folder / "text.json") + "}"
    assert "0 of them media" in run("inspect", recipe, words, "--data", "words")
    with pytest.raises(TriptychError, match="'colour' is not known; did you mean 'colours'"):
        run("inspect", recipe, "--data", "colour")
    with pytest.raises(TriptychError, match="12 records; --sample goes from 0 to 11"):
        run("inspect", recipe, "--sample", 12)
    assert "refused" in run("inspect", recipe, "sequence.max_tokens=8")


def command(*arguments: object, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> tuple[int, str]:
    """What the installed program does with its arguments: exit code and what it prints on standard error."""
    monkeypatch.setattr(sys, "argv", ["triptych", *map(str, arguments)])
    with pytest.raises(SystemExit) as stopped:
        cli.main()
    assert isinstance(stopped.value.code, int)
    return stopped.value.code, capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["train", "nowhere.yaml"], "nowhere.yaml: cannot be read"),
        (["train", "{recipe}", "stages.0.stepps=3"], "did you mean 'steps'"),
        (["ask", "{folder}", "Hi"], "not a run's folder"),
        (["inspect", "{recipe}", "--data", "[/]"], "'[/]' is not known"),
    ],
)
def test_errors_are_sentences_without_a_traceback(
    recipe: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    arguments: list[str],
    expected: str,
) -> None:
    filled = [argument.format(recipe=recipe, folder=recipe.parent) for argument in arguments]
    code, error = command(*filled, monkeypatch=monkeypatch, capsys=capsys)
    assert code == 1
    assert error.startswith("error: ")
    assert expected in error
    assert "Traceback" not in error


def test_a_wrong_option_is_a_usage_error(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    code, error = command("train", "--nothing", monkeypatch=monkeypatch, capsys=capsys)
    assert code == 2
    assert "--nothing" in error


def test_the_module_runs_as_a_program() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "triptych", "train", "nowhere.yaml"], capture_output=True, text=True, check=False
    )
    assert done.returncode == 1
    assert done.stderr.startswith("error: nowhere.yaml")
