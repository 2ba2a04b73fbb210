"""The one cache folder: where it is, files that appear in it whole or not at all, and hashes remembered."""

from __future__ import annotations

import hashlib
import json
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from triptych import files
from triptych.errors import WeightsError
from triptych.paths import user_path


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
    """Hold a lock file, so that processes started together download once; the others wait and find the file."""
    from filelock import FileLock

    make_folder(path.parent)
    with FileLock(path):
        yield


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
    """SHA-256 of a file's content, in hexadecimal.

    The hash is remembered in the cache folder together with the file's size, time and inode, so a file of
    gigabytes is read once; a file that changed in any of them is read again.
    """
    path = path.resolve()
    stat = path.stat()
    identity = [str(path), stat.st_size, stat.st_mtime_ns, stat.st_ino]
    record = cache_folder() / "hashes" / f"{hashlib.sha256(os.fsencode(path)).hexdigest()}.json"
    try:
        known = json.loads(record.read_text())
        if known["file"] == identity:
            return str(known["sha256"])
    except (OSError, ValueError, KeyError, TypeError):
        pass  # no record, or one that cannot be used: read the file
    with path.open("rb") as stream:
        digest = hashlib.file_digest(stream, "sha256").hexdigest()
    try:
        with written_atomically(record) as part:
            part.write_text(json.dumps({"file": identity, "sha256": digest}))
    except (OSError, WeightsError):
        pass  # a cache that cannot be written only costs time
    return digest
