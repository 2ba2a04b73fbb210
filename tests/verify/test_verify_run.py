"""`triptych verify`: which systems there are, what it prints, and when it fails."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from typer.testing import CliRunner

from triptych import cli
from triptych.recipe import preset_names
from triptych.verify import systems
from triptych.verify.check import Check
from triptych.verify.run import verify
from triptych.verify.systems import COMPONENTS, SYSTEMS, UnknownSystem, checks, system_of

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
    for module in ("triptych.verify.systems.SYSTEMS", "triptych.verify.run.SYSTEMS"):
        monkeypatch.setattr(module, {**toys, "empty": (here + "nothing",), "gone": ("triptych.verify.nowhere:x",)})
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
