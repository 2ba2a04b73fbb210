"""Running the commands of a study, each in a process of its own: its memory is its own, and a crash loses nothing else."""

from __future__ import annotations

import fcntl
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Protocol

from triptych.errors import EvaluationError

TICK_SECONDS = 0.5


class Launch(Protocol):
    """Runs `python -m ARGUMENTS…` with its output in a file; returns the exit status."""

    def __call__(self, arguments: Sequence[str], log: Path, tick: Callable[[], None]) -> int:
        """`tick` is called now and then while it runs."""
        ...


class Processes:
    """Launches subprocesses that hold the study's lock, so that one left behind by a killed study is noticed."""

    def __init__(self, lock: int) -> None:
        self._lock = lock

    def __call__(self, arguments: Sequence[str], log: Path, tick: Callable[[], None]) -> int:
        """See `Launch`. An interruption, by Ctrl-C or by a signal to the study alone, is passed on once: the process saves, and is
        waited for; a second one ends it."""
        log.parent.mkdir(parents=True, exist_ok=True)
        with log.open("ab") as output:
            process = subprocess.Popen(
                [sys.executable, "-m", *arguments],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                pass_fds=(self._lock,),
                process_group=0,  # a terminal's Ctrl-C reaches the study alone, so that the process hears of it once
            )
            try:
                while process.poll() is None:
                    tick()
                    time.sleep(TICK_SECONDS)
            except BaseException:
                try:
                    process.send_signal(signal.SIGINT)
                    process.wait()
                except KeyboardInterrupt:
                    process.kill()
                    process.wait()
                raise
        return process.returncode


@contextmanager
def locked(folder: Path) -> Iterator[int]:
    """The lock of a study's folder, as a file descriptor that child processes may hold, too.

    Raises:
        EvaluationError: Another process works there.
    """
    folder.mkdir(parents=True, exist_ok=True)
    descriptor = os.open(folder / ".lock", os.O_RDWR | os.O_CREAT, 0o644)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            raise EvaluationError(
                f"{folder}: another process is at work on this study (perhaps a run left over from a study that was "
                "killed); wait until it is done, or choose another folder with --output"
            ) from None
        yield descriptor
    finally:
        os.close(descriptor)


def complaint(log: Path, since: int, status: int) -> str:
    """What a failed process said last, from byte `since` of its log on: its error, or else its last line."""
    try:
        text = log.read_bytes()[since:].decode("utf-8", errors="replace")
    except OSError:
        text = ""
    _, found, error = text.rpartition("error: ")
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    if found:
        return error.strip()[:2000]
    ended = f"ended by signal {-status}" if status < 0 else f"exit status {status}"
    return f"{ended}: {lines[-1][:500] if lines else 'nothing was said'}"
