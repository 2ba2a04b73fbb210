"""Files that appear whole or not at all, JSON that is an object, and one line for what a disk refuses."""

from __future__ import annotations

import errno
import json
import os
import re
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from triptych.errors import FolderError, TriptychError, one_line

HINTS = {
    errno.ENOSPC: "make room on that disk",
    errno.EDQUOT: "your quota on that disk is used up; make room",
    errno.EFBIG: "the file is larger than that disk or your limits allow",
    errno.EROFS: "choose a folder on a disk that can be written",
    errno.EACCES: "choose a folder that you may write",
    errno.EPERM: "choose a folder that you may write",
    errno.ENOENT: "the folder is gone; was it moved or removed meanwhile?",
    errno.ENOTDIR: "a file stands where a folder is needed",
    errno.EISDIR: "a folder stands where a file is needed",
    errno.ESTALE: "the disk is gone; is it still mounted?",
    errno.EIO: "the disk reports an error",
}
"""What to try, by the system's number of an error."""

FULL = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS, errno.ESTALE})
"""Errors that can only come from writing."""


def cannot_write(path: Path, error: BaseException, advice: str = "") -> FolderError:
    """The answer to a file or folder that cannot be written.

    Args:
        path: The file or folder.
        error: What the system or a library said.
        advice: What else helps, behind the hint.
    """
    number = _number(error)
    said = os.strerror(number) if number is not None else one_line(error)
    parts = (f"{path}: cannot be written: {said}", HINTS.get(number or 0), advice)
    return FolderError("; ".join(part for part in parts if part), number)


def refused(error: OSError) -> str:
    """What the system refused, in a line, where no part of the program knew more about it."""
    where = f"{error.filename}: " if error.filename is not None else ""
    hint = HINTS.get(error.errno or 0)
    return f"{where}{error.strerror or one_line(error)}{f'; {hint}' if hint else ''}"


@contextmanager
def writing(path: Path) -> Iterator[None]:
    """A block that only writes to `path`: what the system refuses is a `FolderError` that names it.

    Raises:
        FolderError: The system's refusal left the block.
    """
    try:
        yield
    except Exception as error:
        if isinstance(error, TriptychError) or _number(error) is None:  # whoever raised the first knew more
            raise
        raise cannot_write(path, error) from error


def _number(error: BaseException) -> int | None:
    """The system's number of an error; libraries in Rust (safetensors, tokenizers) have it in their words."""
    if isinstance(error, OSError):
        return error.errno
    said = re.search(r"\(os error (\d+)\)", str(error))
    return int(said[1]) if said else None


@contextmanager
def written_atomically(path: Path) -> Iterator[Path]:
    """A temporary path beside `path` that takes its place when the block ends well, and is gone when not.

    Raises:
        FolderError: The folder cannot be made or written, or the disk is full.
    """
    with writing(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name[:80]}.", suffix=".part")
        os.close(handle)
    part = Path(name)
    try:
        yield part
        with writing(path):
            # mkstemp makes files for the owner alone; others may read what is written, so follow the user's umask.
            umask = os.umask(0)
            os.umask(umask)
            part.chmod(0o666 & ~umask)
            part.replace(path)
    except OSError as error:
        if error.errno in FULL:
            raise cannot_write(path, error) from error
        raise
    finally:
        with suppress(OSError):  # a disk that went read-only keeps it; the error above says so
            part.unlink(missing_ok=True)


@contextmanager
def written_folder(folder: Path, keep: bool = False) -> Iterator[Path]:
    """An empty folder beside `folder` that takes its place when the block ends well, and is gone when not.

    Args:
        folder: Where it ends.
        keep: Whether a folder that is there by then stays instead, as another process has made the same.

    Raises:
        FolderError: It cannot be written.
    """
    with writing(folder):
        folder.parent.mkdir(parents=True, exist_ok=True)
        work = Path(tempfile.mkdtemp(prefix=f".{folder.name}.", dir=folder.parent))
    try:
        with writing(folder):
            yield work
            work.chmod(0o755)
            for path in work.rglob("*"):
                path.chmod(0o755 if path.is_dir() else 0o644)  # safetensors writes for its user alone
            if folder.exists() and not keep:
                old = Path(tempfile.mkdtemp(prefix=f".{folder.name}.", dir=folder.parent))
                folder.replace(old / folder.name)
                work.replace(folder)
                shutil.rmtree(old, ignore_errors=True)
                return
            try:
                work.replace(folder)
            except OSError:
                if not (keep and folder.exists()):
                    raise
    finally:
        shutil.rmtree(work, ignore_errors=True)


def write_atomically(path: Path, content: str | bytes) -> None:
    """Write a whole file or nothing; it is on the disk before it takes its place.

    Raises:
        FolderError: It cannot be written.
    """
    data = content.encode("utf-8", errors="backslashreplace") if isinstance(content, str) else content
    with written_atomically(path) as part, writing(path), part.open("wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())


def read_object(path: Path, kind: type[TriptychError]) -> dict[str, Any]:
    """A JSON file that holds an object.

    Args:
        path: The file.
        kind: Of the error where it is damaged.

    Raises:
        TriptychError: Of that kind: the file cannot be read, is no JSON, or holds something else.
    """
    try:
        value = json.loads(path.read_bytes())
    except OSError as error:
        raise kind(f"{path}: cannot be read ({error.strerror or one_line(error)})") from error
    except (ValueError, RecursionError) as error:
        raise kind(f"{path}: cannot be read as JSON; is it damaged? ({one_line(error)})") from error
    if not isinstance(value, dict):
        raise kind(f"{path}: expected a JSON object, got {type(value).__name__}")
    return value
