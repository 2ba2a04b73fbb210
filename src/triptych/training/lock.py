"""One process trains in a run's folder at a time.

The system holds the lock (`flock` on Unix), so that it ends with the process, however that ends; nothing is left to clean up.
Of several processes of one training the first holds it.
"""

from __future__ import annotations

import json
import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

from triptych.errors import TrainingError, TriptychError
from triptych.files import read_object, write_atomically, writing

LOCK, HOLDER = ".lock", ".training.json"
"""The file that is locked, and the one that says who holds it: the first is never written to."""


@contextmanager
def locked(run: Path) -> Iterator[None]:
    """Hold a run's folder, which is made where it is not there, while the block runs.

    Raises:
        TrainingError: Another process trains there; the message says which.
        FolderError: The folder cannot be made or written.
    """
    from filelock import FileLock, Timeout

    with writing(run):
        run.mkdir(parents=True, exist_ok=True)
    lock = FileLock(run / LOCK)
    try:
        with writing(run):
            lock.acquire(timeout=0)
    except Timeout:
        raise TrainingError(
            f"{run}: {_holder(run)} is training this run; wait until it is done, or stop it there (Ctrl-C saves) and resume, "
            "or choose another folder with --output"
        ) from None
    try:
        write_atomically(run / HOLDER, json.dumps(_myself()) + "\n")
        yield
    finally:
        lock.release()


def _myself() -> dict[str, str | int]:
    return {
        "process": os.getpid(),
        "host": socket.gethostname(),
        "since": datetime.now(UTC).isoformat(timespec="seconds"),
    }


def _holder(run: Path) -> str:
    """Who holds a folder, in words. A process between taking the lock and writing who it is has no number yet."""
    try:
        said = read_object(run / HOLDER, TrainingError)
    except TriptychError:
        return "another process"
    return f"process {said.get('process')} on {said.get('host')} (since {said.get('since')})"
