"""A new command is one file: in an installed package, or in the folder of commands. The first is the example of the documentation."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
from typer.testing import CliRunner

from triptych.cli import app, commands
from triptych.cli.discovery import CommandError, Commands

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "extending" / "command.md").read_text(encoding="utf-8")
HELLO = '''
import typer

ORDER = 15


def hello(name: str, loud: bool = False) -> None:
    """Say hello."""
    typer.echo(f"hello {name.upper() if loud else name}")


group = typer.Typer(help="A group.")


@group.command()
def one() -> None:
    """Say one."""
    typer.echo("one")
'''


def install(site: Path, package: str, module: str, source: str, **entries: str) -> None:
    """A package as pip leaves it: a module, and a folder that says what it offers."""
    (site / f"{module}.py").write_text(source, encoding="utf-8")
    facts = site / f"{package.replace('-', '_')}-0.1.dist-info"
    facts.mkdir()
    (facts / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {package}\nVersion: 0.1\n")
    lines = [f"{name} = {target}" for name, target in entries.items()]
    (facts / "entry_points.txt").write_text("\n".join(["[triptych.command]", *lines]))


def run(*arguments: str, exit_code: int = 0) -> str:
    result = CliRunner().invoke(app, arguments)
    if result.exception and not isinstance(result.exception, SystemExit):
        raise result.exception
    assert result.exit_code == exit_code, result.output
    return result.output


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder on the path of Python, whose modules are forgotten afterwards."""
    folder = tmp_path / "site"
    folder.mkdir()
    monkeypatch.syspath_prepend(folder)
    for module in ("hello_module", "broken_module"):
        monkeypatch.delitem(sys.modules, module, raising=False)
    return folder


def block(language: str, number: int = 0) -> str:
    return re.findall(rf"```{language}\n(.*?)```", PAGE, re.S)[number]


def test_the_example_of_the_documentation(tmp_path: Path) -> None:
    project = tomllib.loads(block("toml"))["project"]
    install(tmp_path, project["name"], "triptych_sizes", block("python"), **project["entry-points"]["triptych.command"])
    folder = tmp_path / "runs" / "quickstart"
    folder.mkdir(parents=True)
    (folder / "recipe.yaml").write_text("extends: quickstart\nname: quickstart\n")
    (folder / "weights.bin").write_bytes(bytes(2_500_000))
    (folder / "ledger.json").write_bytes(bytes(300_000))
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(tmp_path), *sys.path]), "COLUMNS": "80"}

    def program(*arguments: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "triptych", *arguments]
        return subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False)

    shown, printed = block("console").split("\n", 1)
    done = program(*shown.split()[2:])
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.splitlines() == printed.rstrip().splitlines()
    listed = program("--help").stdout
    assert re.search(r"weights .*\n│ sizes +List the largest files of a run\.", listed)  # after Triptych's own
    assert "How many files are listed." in program("sizes", "--help").stdout
    wrong = program("sizes", "nowhere")
    assert (wrong.returncode, wrong.stderr) == (1, "error: nowhere: is not a run's folder; it has no recipe.yaml\n")


def test_a_package_may_offer_a_group(site: Path) -> None:
    install(site, "hello-package", "hello_module", HELLO, hello="hello_module:hello", greetings="hello_module:group")
    assert [*Commands()][-2:] == ["greetings", "hello"]
    assert run("hello", "world", "--loud") == "hello WORLD\n"
    assert run("greetings", "one") == "one\n"


def test_a_name_that_is_taken_is_called_with_its_package(site: Path) -> None:
    for package in ("hello-package", "other-package"):
        install(site, package, "hello_module", HELLO, train="hello_module:hello", hello="hello_module:hello")
    assert [*Commands()][-4:] == ["hello", "other-package:hello", "hello-package:train", "other-package:train"]
    assert "Train a recipe" in run("train", "--help")
    assert run("other-package:train", "world") == "hello world\n"


@pytest.mark.parametrize(
    ("source", "target", "reason"),
    [
        ("import nothing_of_that_name", "broken_module:hello", "No module named 'nothing_of_that_name'"),
        ("1 / 0", "broken_module:hello", "ZeroDivisionError: division by zero"),
        ("hello = 3", "broken_module:hello", "TypeError: expected a function or a typer.Typer, not int"),
        ("", "broken_module:hello", "has no attribute 'hello'"),
        ("def hello(x: 'Unknown'): ...", "broken_module:hello", "NameError: name 'Unknown' is not defined"),
    ],
)
def test_a_command_that_cannot_be_loaded_is_in_the_list_and_stops_no_other(
    source: str, target: str, reason: str, site: Path
) -> None:
    install(site, "broken-package", "broken_module", source, broken=target)
    listed = " ".join(run("--help").replace("│", " ").split())
    assert "The command broken of the package broken-package cannot be loaded" in listed
    assert reason.split("'")[0] in listed and "train Train a recipe" in listed
    assert "presets" in run("recipes")
    with pytest.raises(CommandError, match=re.escape(reason)):
        run("broken", "whatever", "--loud")


def test_a_file_in_the_folder_of_commands_is_a_command(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "hello.py").write_text(HELLO)
    monkeypatch.setattr(commands, "__path__", [*commands.__path__, str(tmp_path)])
    names = [*Commands()]
    assert names[names.index("train") + 1 : names.index("evaluate")] == ["hello"]  # where its `ORDER` puts it
    assert run("hello", "world") == "hello world\n"
    monkeypatch.delitem(sys.modules, "triptych.cli.commands.hello")


def test_a_command_is_imported_when_it_is_called() -> None:
    code = """
import sys
from triptych.cli import app
app(["report", "--help"], standalone_mode=False)
print(sorted(name.split(".")[3] for name in sys.modules if name.startswith("triptych.cli.commands.")))"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "['report']"


def test_the_example_inside_triptych_is_the_file() -> None:
    assert block("python", 1) == (ROOT / "src/triptych/cli/commands/report.py").read_text(encoding="utf-8")
