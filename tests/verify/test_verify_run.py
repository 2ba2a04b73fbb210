"""`triptych verify`: which systems there are, what it prints, and when it fails."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from typer.testing import CliRunner

import triptych
from parity import systems
from parity.check import Check
from parity.run import verify
from parity.systems import COMPONENTS, SYSTEMS, UnknownSystem, checks, system_of
from triptych import cli
from triptych.cli.commands import verify as locate
from triptych.recipe import preset_names

ran: list[str] = []


def good() -> Iterator[Check]:
    ran.append("good")
    yield Check("sums", "torch.sum", 1e-7)


def bad() -> Iterator[Check]:
    yield Check("products", "torch.prod", 0.5)


def unknown() -> Iterator[Check]:
    yield Check("products", "torch.prod", float("nan"))


def nothing() -> Iterator[Check]:
    yield from ()


@pytest.fixture
def toys(monkeypatch: pytest.MonkeyPatch) -> None:
    here = f"{__name__}:"
    toys = {"one": (here + "good",), "two": (here + "good", here + "bad"), "three": (here + "unknown",)}
    for module in ("parity.systems.SYSTEMS", "parity.run.SYSTEMS"):
        monkeypatch.setattr(module, {**toys, "empty": (here + "nothing",), "gone": ("parity.nowhere:x",)})
    ran.clear()


def test_every_preset_has_a_system_and_every_system_its_checks() -> None:
    assert {system_of(name) for name in preset_names()} == set(SYSTEMS) - set(COMPONENTS)
    assert all(callable(function) for system in SYSTEMS for _, function in checks(system))


def test_an_unknown_system_is_answered_with_the_nearest() -> None:
    with pytest.raises(UnknownSystem, match="did you mean 'llava'"):
        system_of("lava")


def test_what_systems_share_is_computed_once(toys: None) -> None:
    found = list(verify(["one", "two", "one"]))
    assert [(verdict.system, verdict.part) for verdict in found] == [("one", "good"), ("two", "good"), ("two", "bad")]
    assert ran == ["good"]


def test_checks_that_are_missing_or_empty_are_errors(toys: None) -> None:
    with pytest.raises(ModuleNotFoundError):
        list(verify(["gone"]))
    with pytest.raises(AssertionError, match="compares nothing"):
        list(verify(["empty"]))


@pytest.mark.parametrize(("system", "code", "mark"), [("one", 0, "✓"), ("two", 1, "✗"), ("three", 1, "✗")])
def test_the_command_fails_when_something_is_beyond_its_bound(
    toys: None, tmp_path: Path, system: str, code: int, mark: str
) -> None:
    for name in ("result.json", "result.md"):
        result = CliRunner().invoke(cli.app, ["verify", system, "--output", str(tmp_path / name)])
        assert result.exit_code == code, result.output
        assert mark in result.output
    written = json.loads((tmp_path / "result.json").read_text())
    assert written["equal"] is (code == 0)
    assert {"hardware", "versions", "date", "commit", "command"} <= set(written)
    assert mark in (tmp_path / "result.md").read_text()


def test_an_output_of_another_kind_is_refused_before_anything_runs(toys: None, tmp_path: Path) -> None:
    result = CliRunner().invoke(cli.app, ["verify", "one", "--output", str(tmp_path / "result.txt")])
    assert result.exit_code and ran == []
    assert "ends in .json or .md" in str(result.exception)


def test_systems_are_imported_only_when_they_are_asked_for() -> None:
    assert all(isinstance(path, str) for paths in systems.SYSTEMS.values() for path in paths)


def test_the_comparisons_are_found_beside_the_sources_and_otherwise_where_python_finds_them(tmp_path: Path) -> None:
    assert locate.parity().PROJECT == "triptych"
    assert locate.parity(tmp_path).PROJECT == "triptych"  # nothing there: that of PYTHONPATH


@pytest.mark.parametrize("other", [None, "PROJECT = 'another'"])
def test_without_a_clone_the_command_says_where_the_comparisons_are(other: str | None, tmp_path: Path) -> None:
    """As installed: nothing beside the package, and at most another project's `parity` on the path."""
    if other is not None:
        (tmp_path / "parity.py").write_text(other)
    code = (
        "import sys; from pathlib import Path; from triptych.cli.commands import verify; from triptych.errors import TriptychError\n"
        f"verify.parity.__defaults__ = (Path({str(tmp_path / 'nowhere')!r}),)\n"
        "try: verify.verify(['llava'], None)\n"
        "except TriptychError as error: print(error)"
    )
    paths = [str(tmp_path), str(Path(triptych.__file__).parents[1])]
    done = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(paths)},
        cwd=tmp_path,
    )
    assert "clone the repository" in done.stdout, done.stderr
    assert len(done.stdout.splitlines()) == 1
