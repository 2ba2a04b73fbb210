"""Damaged files are read or refused in a line; and the guard that says so notices what it is there for.

The long run is `python -m benchmarks.fuzzing`, or here with `-m slow`.
"""

from __future__ import annotations

import os
import random
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from fuzz_guard import Seed, Tally, cases, fuzz
from fuzz_mutate import damage
from fuzz_seeds import everything

from triptych.errors import RecipeError

pytestmark = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="the guard reads Linux's /proc")


def told(tally: Tally) -> str:
    """Failures as they are seen again."""
    return "\n\n".join(
        f"{o.verdict}: python -m benchmarks.fuzzing --only {o.seed!r} --start {o.number} --count 1 ({o.file})\n{o.message}"
        for o in tally.failures
    )


@pytest.fixture(scope="module")
def seeds(tmp_path_factory: pytest.TempPathFactory) -> list[Seed]:
    before = dict(os.environ)
    try:
        return everything(tmp_path_factory.mktemp("seeds") / "all")
    finally:
        os.environ.clear()
        os.environ.update(before)


def test_good_files_are_read(seeds: list[Seed], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Else all that follows would be refused for the same reason."""
    monkeypatch.setattr("fuzz_guard.damage", lambda draw, name, content: content)
    tally = fuzz(seeds, [(index, 0) for index in range(len(seeds))], tmp_path, workers=1)
    refused = [f"{o.seed}: {o.message}" for o in tally.outcomes if o.verdict != "read"]
    assert len(tally.outcomes) == len(seeds) and not refused, "\n".join(refused)


def test_a_few_hundred_damaged_files(seeds: list[Seed], tmp_path: Path) -> None:
    tally = fuzz(seeds, cases(seeds, 300), tmp_path, workers=1)
    assert len(tally.outcomes) == 300
    assert not tally.failures, told(tally)


@pytest.mark.slow
def test_thousands_of_damaged_files(seeds: list[Seed], tmp_path: Path) -> None:
    tally = fuzz(seeds, cases(seeds, 20_000, start=1_000_000), tmp_path, workers=2)
    assert not tally.failures, told(tally)


def raises(error: BaseException) -> Callable[[Path, Path, Path], object]:
    def run(folder: Path, file: Path, output: Path) -> None:
        raise error

    return run


def takes_memory(folder: Path, file: Path, output: Path) -> None:
    held = bytearray(2_200_000_000)
    held[:: 1 << 12] = b"x" * len(held[:: 1 << 12])


def takes_all_memory(folder: Path, file: Path, output: Path) -> None:
    bytearray(1 << 40)


def writes_elsewhere(folder: Path, file: Path, output: Path) -> None:
    (Path.cwd().parent / "escaped").write_text("x")


def links_out_and_writes(folder: Path, file: Path, output: Path) -> None:
    output.symlink_to(Path.cwd().parents[1])
    (output / "escaped").write_text("x")


def makes_folders_elsewhere(folder: Path, file: Path, output: Path) -> None:
    (folder / ".." / ".." / ".." / "escaped").mkdir()


def starts_a_program(folder: Path, file: Path, output: Path) -> None:
    subprocess.run(["true"], check=True)


def dies(folder: Path, file: Path, output: Path) -> None:
    os._exit(3)


def computes(folder: Path, file: Path, output: Path) -> None:
    end = time.process_time() + 0.4
    while time.process_time() < end:
        pass


def hangs(folder: Path, file: Path, output: Path) -> None:
    time.sleep(60)


@pytest.mark.parametrize(
    ("run", "verdict"),
    [
        (lambda folder, file, output: file.read_bytes(), "read"),
        (lambda folder, file, output: (output.mkdir(), (output / "x").write_text("x")), "read"),
        (raises(RecipeError("no")), "refused"),
        (raises(RecipeError("x" * 50_000)), "traceback"),
        (raises(ValueError("no")), "traceback"),
        (raises(RecursionError()), "traceback"),
        (raises(SystemExit(0)), "traceback"),
        (takes_memory, "memory"),
        (takes_all_memory, "memory"),
        (writes_elsewhere, "wrote outside"),
        (links_out_and_writes, "wrote outside"),
        (makes_folders_elsewhere, "wrote outside"),
        (starts_a_program, "wrote outside"),
        (dies, "died"),
        (computes, "slow"),
        (hangs, "slow"),
    ],
)
def test_the_guard_notices(
    run: Callable[[Path, Path, Path], object], verdict: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if run in (computes, hangs):
        monkeypatch.setattr("fuzz_guard.SECONDS", 0.2)
        monkeypatch.setattr("fuzz_guard.GRACE", 1.0)
    (tmp_path / "good").mkdir()
    (tmp_path / "good" / "a.json").write_text('{"a": 1}')
    tally = fuzz([Seed("x", "x", tmp_path / "good", ("*",), run)], [(0, 0), (0, 1)], tmp_path / "work", workers=1)
    assert [outcome.verdict for outcome in tally.outcomes] == [verdict] * 2
    assert (tmp_path / "good" / "a.json").read_text() == '{"a": 1}'


@pytest.mark.parametrize("name", ["a.json", "a.jsonl", "a.yaml", "a.tsv", "a.png", "a.safetensors", "a.bin", "a.xml"])
def test_damage_is_drawn_by_its_number_alone(name: str) -> None:
    good = b'{"a": [1, 2.5, "x", null, true], "b": {"c": "d"}}'
    first = [damage(random.Random(number), name, good) for number in range(200)]
    assert first == [damage(random.Random(number), name, good) for number in range(200)]
    assert len(set(first)) > 100 and all(isinstance(content, bytes) for content in first)
