"""One process trains in a run's folder at a time.

The system holds the lock (`flock`), so that it ends with the process, however that ends; nothing is left to clean up.
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
    with writing(run):
        run.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(run / LOCK, os.O_RDWR | os.O_CREAT, 0o644)
    try:
        with writing(run):
            free = _lock(descriptor)
        if not free:
            raise TrainingError(
                f"{run}: {_holder(run)} is training this run; wait until it is done, or stop it there (Ctrl-C saves) and "
                "resume, or choose another folder with --output"
            )
        _HELD.add(descriptor)
        write_atomically(run / HOLDER, json.dumps(_myself()) + "\n")
        yield
    finally:
        _HELD.discard(descriptor)
        os.close(descriptor)


_HELD: set[int] = set()
"""Descriptors of the locks that this process holds."""


def _in_forked_child() -> None:
    """Close the parent's locks: `flock` lasts until the last copy of a descriptor is closed, and workers may live longer."""
    for descriptor in _HELD:
        os.close(descriptor)
    _HELD.clear()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_in_forked_child)


def _lock(descriptor: int) -> bool:
    """Lock a file for this process; False where another process holds it."""
    try:
        import fcntl
    except ImportError:  # Windows; its locks end with the process, too
        import msvcrt

        try:
            msvcrt.locking(descriptor, msvcrt.LK_NBLCK, 1)  # type: ignore[attr-defined]
        except OSError:
            return False
        return True
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


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
