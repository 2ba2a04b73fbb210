"""A disk that is full, read-only or gone: one line that says so, and what was saved before stays good."""

from __future__ import annotations

import errno
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from safetensors.torch import load_file

from tiny_world import World
from triptych.errors import DataError, FolderError, RecipeError, TrainingError, TriptychError
from triptych.training import checkpoint
from triptych.training.loop import Trainer, train
from triptych.training.run import MetricsLog

SPACE = shutil.which("unshare")


def in_a_small_disk(options: str, disk: Path, command: list[str]) -> subprocess.CompletedProcess[str]:
    """A command that alone sees a disk of its own mounted at a folder."""
    disk.mkdir(exist_ok=True)
    if SPACE is None or subprocess.run([SPACE, "-rm", "true"], check=False).returncode:
        pytest.skip("this machine lets nobody mount a disk of their own")
    script = f'mount -t tmpfs -o {options} tmpfs "$0" && exec "$@"'
    return subprocess.run(
        [SPACE, "-rm", "sh", "-c", script, str(disk), *command], capture_output=True, text=True, check=False
    )


def command(recipe: Path, run: Path) -> list[str]:
    return [sys.executable, "-m", "triptych", "train", str(recipe), "--output", str(run)]


@pytest.fixture
def recipe(world: World, tiny_cache: Path, tmp_path: Path) -> Path:
    path = tmp_path / "recipe.yaml"
    path.write_text(json.dumps(world.values()))
    return path


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ("size=8k", "No space left on device; make room on that disk"),
        ("size=80k", "No space left on device; make room on that disk"),
        ("size=400k", "No space left on device; make room on that disk"),
        ("size=1m,ro", "Read-only file system; choose a folder on a disk that can be written"),
    ],
)
def test_a_disk_that_takes_no_more_is_one_line(recipe: Path, tmp_path: Path, options: str, said: str) -> None:
    done = in_a_small_disk(options, tmp_path / "disk", command(recipe, tmp_path / "disk" / "run"))
    assert done.returncode == 1, done.stderr
    assert "Traceback" not in done.stderr
    (line,) = [line for line in done.stderr.splitlines() if "error" in line]
    assert said in line
    assert str(tmp_path / "disk" / "run") in line


def test_what_was_saved_before_the_disk_was_full_is_gone_on_from(
    world: World, tiny_cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    straight = train(world.recipe(), tmp_path / "straight", quiet=True)
    run, save = tmp_path / "run", checkpoint.save_file
    written: list[str] = []

    def full(state: Any, path: Path) -> None:
        written.append(path.name)
        if len(written) == 5:  # the second tensors of the second checkpoint
            path.write_bytes(b"half")
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(path))
        save(state, path)

    with monkeypatch.context() as patch, pytest.raises(FolderError, match=r"No space left.*then go on.*--resume"):
        patch.setattr(checkpoint, "save_file", full)
        train(world.recipe(), run, quiet=True)
    (kept,) = (run / "checkpoints").iterdir()
    assert kept.name == "000002"  # and no half one beside it
    train(world.recipe(), run, resume=True, quiet=True)
    first, second = (load_file(folder / "weights" / "model.safetensors") for folder in (straight, run))
    assert all((first[name] == second[name]).all() for name in first)


@pytest.mark.parametrize("place", ["checkpoint", "metrics", "finish"])
def test_a_folder_that_vanishes_is_not_made_anew(
    world: World, tiny_cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, place: str
) -> None:
    run = tmp_path / "run"

    def vanish(before: Callable[..., Any]) -> Callable[..., Any]:
        def instead(*given: Any, **options: Any) -> Any:
            shutil.rmtree(run, ignore_errors=True)
            return before(*given, **options)

        return instead

    match place:
        case "checkpoint":
            monkeypatch.setattr(checkpoint, "save", vanish(checkpoint.save))
        case "metrics":
            monkeypatch.setattr(MetricsLog, "write", vanish(MetricsLog.write))
        case "finish":
            monkeypatch.setattr(Trainer, "_stage_facts", vanish(Trainer._stage_facts))
    with pytest.raises(FolderError, match="the folder is gone; was it moved or removed meanwhile"):
        train(world.recipe(), run, quiet=True)
    assert not run.exists()


SPOILT = {
    "empty": b"",
    "cut": b'{"stages": [',
    "no object": b"[1, 2]\n",
    "no text": b"\xff\xfe\x00\x80" * 9,
    "deep": b"[" * 99_999,
    "of another kind": b'{"stages": 3, "total_step": [], "stage": [1], "step": "x"}\n{"a": 1}\n',
}


@pytest.mark.parametrize("how", list(SPOILT))
@pytest.mark.parametrize(
    "name",
    [
        "run.json",
        "metrics.jsonl",
        "ledger.jsonl",
        "recipe.yaml",
        "state.json",
        "weights.safetensors",
        "optimiser.safetensors",
        "random.safetensors",
    ],
)
def test_a_damaged_file_of_a_run_is_named(
    stopped: Path, world: World, tiny_cache: Path, tmp_path: Path, name: str, how: str
) -> None:
    run = tmp_path / "run"
    shutil.copytree(stopped, run)
    (path,) = run.rglob(name) if name not in {"ledger.jsonl"} else [run / name]
    path.write_bytes(SPOILT[how])
    whole = how == "empty" and name in {"metrics.jsonl", "ledger.jsonl"}  # a log without lines is one
    half = name in {"metrics.jsonl", "ledger.jsonl"} and not SPOILT[how].endswith(b"\n") and how != "no text"
    if whole or half:  # what a killed process leaves behind
        train(world.recipe(), run, resume=True, quiet=True)
        return
    with pytest.raises((TrainingError, DataError, RecipeError)) as raised:
        train(world.recipe(), run, resume=True, quiet=True)
    said = str(raised.value)
    assert name in said or path.parent.name in said
    assert len(said) < 1000


@pytest.fixture(scope="module")
def stopped(world: World, session_cache: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run that stopped after its first checkpoint."""
    run = tmp_path_factory.mktemp("stopped") / "run"
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TRIPTYCH_CACHE", str(session_cache))
        save = checkpoint.save

        def once(*given: Any, **options: Any) -> None:
            save(*given, **options)
            raise KeyboardInterrupt

        patch.setattr(checkpoint, "save", once)
        with pytest.raises(KeyboardInterrupt):
            train(world.recipe({"stages.0.log_every": 1}), run, quiet=True)
    assert issubclass(FolderError, TriptychError)
    return run
