"""One process trains in a run's folder: a second is refused in one line, and nothing has to be cleaned up."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from tiny_world import World
from triptych.errors import FolderError, TrainingError
from triptych.training.lock import HOLDER, LOCK, locked
from triptych.training.loop import train

HOLD = """
import sys, time
from pathlib import Path
from triptych.training.lock import locked
with locked(Path(sys.argv[1])):
    if "fork" in sys.argv:
        import os
        if os.fork() == 0:
            print("held", flush=True)
            time.sleep(60)
            os._exit(0)
    else:
        print("held", flush=True)
    time.sleep(60)
"""


@contextmanager
def holder(run: Path, *arguments: str) -> Iterator[subprocess.Popen[str]]:
    """Another process that holds a run's folder."""
    process = subprocess.Popen(
        [sys.executable, "-c", HOLD, str(run), *arguments], stdout=subprocess.PIPE, text=True, start_new_session=True
    )
    try:
        assert process.stdout is not None and process.stdout.readline() == "held\n"
        yield process
    finally:
        with suppress(ProcessLookupError):  # all are gone already
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def test_a_second_process_is_told_who_holds_the_folder(tmp_path: Path) -> None:
    with holder(tmp_path / "run") as process:
        held = pytest.raises(TrainingError, match=rf"process {process.pid} on .* is training this run")
        with held as raised, locked(tmp_path / "run"):
            pytest.fail("both hold it")
        assert "\n" not in str(raised.value)
        (tmp_path / "run" / HOLDER).write_text("{")
        with pytest.raises(TrainingError, match="another process is training this run"), locked(tmp_path / "run"):
            pytest.fail("both hold it")


@pytest.mark.parametrize("arguments", [(), ("fork",)])
def test_a_lock_ends_with_its_process_whatever_it_left_behind(tmp_path: Path, arguments: tuple[str, ...]) -> None:
    with holder(tmp_path / "run", *arguments) as process:
        os.kill(process.pid, signal.SIGKILL)  # the process it forked lives on, as workers do for a moment
        process.wait()
        assert (tmp_path / "run" / LOCK).exists() and (tmp_path / "run" / HOLDER).exists()
        with locked(tmp_path / "run"):
            assert json.loads((tmp_path / "run" / HOLDER).read_text())["process"] == os.getpid()


def test_it_can_be_taken_again_and_again(tmp_path: Path) -> None:
    for _ in range(3):
        with locked(tmp_path / "run"):
            pass
    with pytest.raises(ZeroDivisionError), locked(tmp_path / "run"):
        raise ZeroDivisionError
    with locked(tmp_path / "run"):
        pass


def test_a_place_where_no_folder_can_be(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(FolderError, match="a file stands where a folder is needed"), locked(tmp_path / "file" / "run"):
        pass


@pytest.mark.parametrize("options", [{}, {"resume": True}, {"overwrite": True}])
def test_training_beside_training_changes_nothing(
    world: World, tiny_cache: Path, tmp_path: Path, options: dict[str, bool]
) -> None:
    recipe = world.recipe()
    run = train(recipe, tmp_path / "run", quiet=True)
    before = {
        path: path.stat().st_mtime_ns for path in run.rglob("*") if path.is_file() and path.name not in {LOCK, HOLDER}
    }
    with holder(run), pytest.raises(TrainingError, match="is training this run"):
        train(recipe, run, quiet=True, **options)
    assert {path: path.stat().st_mtime_ns for path in before} == before


def test_a_resumption_beside_a_running_training_is_refused_and_the_training_goes_on(
    world: World, tiny_cache: Path, tmp_path: Path
) -> None:
    """Two real commands: the first trains slowly, the second resumes meanwhile."""
    recipe = tmp_path / "recipe.yaml"
    recipe.write_text(json.dumps(world.values({"stages.0.steps": 400})))
    run = tmp_path / "run"
    first = subprocess.Popen(command(recipe, run), stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
    try:
        until(lambda: any((run / "checkpoints").glob("0*")))
        second = subprocess.run([*command(recipe, run), "--resume"], capture_output=True, text=True, check=False)
        assert second.returncode == 1
        assert second.stderr.count("\n") == 1
        assert f"process {first.pid} on" in second.stderr
        assert first.poll() is None
        first.send_signal(signal.SIGINT)  # it saves, as nothing had happened
        assert "everything is saved" in first.communicate(timeout=60)[1]
    finally:
        first.kill()
        first.wait()


def command(recipe: Path, run: Path) -> list[str]:
    return [sys.executable, "-m", "triptych", "train", str(recipe), "--output", str(run)]


def until(happened: Callable[[], bool], seconds: float = 60.0) -> None:
    end = time.monotonic() + seconds
    while not happened():
        assert time.monotonic() < end, "it did not happen"
        time.sleep(0.05)
