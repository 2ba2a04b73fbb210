"""The one cache folder: where it is, files that appear in it whole or not at all, and hashes remembered."""

from __future__ import annotations

import hashlib
import json
import os
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from triptych import files
from triptych.errors import TriptychError, WeightsError
from triptych.paths import user_path

SETTLED_SECONDS = 2.0
"""A file that was written to less than this before it was read is read again next time."""


def cache_folder() -> Path:
    """`$TRIPTYCH_CACHE`, or `triptych` in the platform's folder for caches (`$XDG_CACHE_HOME`, `~/.cache`, …)."""
    if chosen := os.environ.get("TRIPTYCH_CACHE"):
        return user_path(chosen, error=WeightsError).absolute()
    if sys.platform == "darwin":
        root = Path.home() / "Library" / "Caches"
    elif sys.platform == "win32":
        root = Path(os.environ.get("LOCALAPPDATA") or Path.home() / "AppData" / "Local")
    else:
        root = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    return root / "triptych"


def offline() -> bool:
    """Whether the user has forbidden network access (`TRIPTYCH_OFFLINE` or `HF_HUB_OFFLINE`)."""
    return any(
        os.environ.get(name, "").strip().lower() in {"1", "true", "yes", "on"}
        for name in ("TRIPTYCH_OFFLINE", "HF_HUB_OFFLINE")
    )


@contextmanager
def written_atomically(path: Path) -> Iterator[Path]:
    """A temporary path beside `path` that takes its place when the block ends well, and is gone when not."""
    make_folder(path.parent)
    with files.written_atomically(path) as part:
        yield part


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """Hold a lock file, so that processes started together download once; the others wait and find the file.

    Raises:
        WeightsError: The cache folder cannot be made.
        FolderError: The lock file cannot be written.
    """
    from filelock import FileLock

    make_folder(path.parent)
    lock = FileLock(path)
    with files.writing(path):
        lock.acquire()
    try:
        yield
    finally:
        lock.release()


def make_folder(folder: Path) -> None:
    """Create a folder of the cache, with an answer for a cache that cannot be written."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise WeightsError(
            f"the cache folder {folder} cannot be made ({error.strerror or error}); "
            "set TRIPTYCH_CACHE to a folder that you may write"
        ) from error


def content_sha256(path: Path) -> str:
    """SHA-256 of weights: of a file, or of the weights and settings that lie in a folder, by name and content."""
    if path.is_file():
        return file_sha256(path)
    kinds = (".json", ".safetensors", ".bin", ".pt", ".pth")
    held = sorted(file for file in path.iterdir() if file.suffix in kinds and file.is_file())
    return hashlib.sha256("\n".join(f"{file.name} {file_sha256(file)}" for file in held).encode()).hexdigest()


def file_sha256(path: Path) -> str:
    """SHA-256 of a file's content, in hexadecimal, remembered on the disk: for names of what is derived from the file.

    It is remembered under all that the system notes of a file, the time of its last change (`ctime`) among it, which
    no program can set, so a file of gigabytes is read once, and again after anything wrote to it. What has to be
    checked against a given hash is read: see `verified_sha256`.
    """
    path = path.resolve()
    identity = _identity(path)
    record = cache_folder() / "hashes" / f"{hashlib.sha256(os.fsencode(path)).hexdigest()}.json"
    try:
        known = json.loads(record.read_text())
        if known["file"] == [str(path), *identity]:
            return str(known["sha256"])
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        pass  # no record, or one that cannot be used: read the file
    digest, settled = _read_sha256(path, identity)
    if settled:
        # A cache that cannot be written only costs time.
        with suppress(TriptychError, OSError), written_atomically(record) as part:
            part.write_text(json.dumps({"file": [str(path), *identity], "sha256": digest}))
    return digest


def verified_sha256(path: Path) -> str:
    """SHA-256 of a file's content, read by this process: about a second for a gigabyte.

    Within the process it is read once, and again after anything wrote to it.
    """
    path = path.resolve()
    identity = _identity(path)
    if (known := _READ.get(path)) is not None and known[0] == identity:
        return known[1]
    digest, settled = _read_sha256(path, identity)
    if settled:
        _READ[path] = (identity, digest)
    return digest


_Identity = tuple[int, int, int, int, int]

_READ: dict[Path, tuple[_Identity, str]] = {}


def _identity(path: Path) -> _Identity:
    stat = path.stat()
    return stat.st_dev, stat.st_ino, stat.st_size, stat.st_mtime_ns, stat.st_ctime_ns


def _read_sha256(path: Path, identity: _Identity) -> tuple[str, bool]:
    """The hash, and whether it may be remembered: not where the file was written to while, or just before, it was read.

    The clock that files are stamped with stands still for some milliseconds: two writes within them have one time.
    """
    with path.open("rb") as stream:
        digest = hashlib.file_digest(stream, "sha256").hexdigest()
    changed = identity[-1] / 1e9
    keeps_ctime = sys.platform != "win32"  # there it is the time of creation
    return digest, keeps_ctime and _identity(path) == identity and time.time() - changed > SETTLED_SECONDS
