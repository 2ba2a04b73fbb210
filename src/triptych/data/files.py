"""Reading files that others wrote: paths that stay where they should, JSON whose mistakes are located."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from triptych.conversation.unicode import check_unicode_in
from triptych.errors import DataError, excerpt, quoted
from triptych.paths import user_path

_MARK = b"\xef\xbb\xbf"  # the byte order mark that some editors put before UTF-8 text
_SPACE = re.compile(r"[ \t\r\n]*")
_DECODER = json.JSONDecoder()


def data_path(path: Path, base: Path) -> Path:
    """A path of a dataset's configuration: `~` is the user's home, a relative one starts at `base`."""
    return user_path(path, base, DataError)


def inside(folder: Path, name: str, missing_ok: bool = False) -> Path:
    """The file `name` of `folder`, which must exist and lie in it.

    Args:
        folder: The only place where it may lie.
        name: A relative path.
        missing_ok: Return the path of a file that is not there, too; its place must be inside of `folder` all the same.

    Raises:
        DataError: The name is absolute, leads out of the folder (`..`, a symbolic link), or is no file.
    """
    root = folder.resolve()
    try:
        path = Path(root, name).resolve(strict=True)
    except FileNotFoundError:
        # Told before whether the place is allowed at all: names from outside must not probe the disk.
        path = Path(root, name)
        if Path(name).is_absolute() or ".." in Path(name).parts:
            raise _escape(name, folder) from None
        if missing_ok:
            if not path.resolve().is_relative_to(root):  # a link to where nothing is yet
                raise _escape(name, folder) from None
            return path
        raise DataError(f"{excerpt(str(path), 400)}: no such file") from None
    except (OSError, ValueError, RuntimeError) as error:  # too long, a null byte, a loop of links
        raise DataError(f"{quoted(name)} is not a file of {folder} ({excerpt(str(error), 120)})") from error
    if Path(name).is_absolute() or not path.is_relative_to(root):
        raise _escape(name, folder)
    if not path.is_file():
        raise DataError(f"{path}: not a file")
    return path


def _escape(name: str, folder: Path) -> DataError:
    return DataError(
        f"{quoted(name)} leads out of the images folder {folder}; expected a path relative to that folder "
        "(if a link leads to where the pictures are, name the real folder in the recipe)"
    )


def read_text(path: Path) -> str:
    """The content of a UTF-8 file; DataError when it cannot be read or is something else."""
    try:
        return path.read_bytes().decode("utf-8-sig")
    except OSError as error:
        raise DataError(f"{path}: cannot be read ({error.strerror or error})") from error
    except UnicodeDecodeError as error:
        raise DataError(f"{path}: not UTF-8 text (byte {error.start:,}: {error.reason})") from error


def parse_json(text: str, path: Path, line: int = 1) -> Any:
    """The value that `text` spells; mistakes are located in `path`, of which `text` starts at `line`."""
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as error:
        raise _malformed(error, path, line) from error


def _malformed(error: Exception, path: Path, line: int = 1) -> DataError:
    if isinstance(error, json.JSONDecodeError):
        return DataError(f"{path}:{line + error.lineno - 1}:{error.colno}: malformed JSON ({error.msg})")
    return DataError(f"{path}:{line}: unreadable JSON ({error})")


class Records:
    """The objects of a JSON list or of a JSON-lines file, read one by one when they are asked for.

    Only their places are held in memory (20 bytes a record), and no file is held open, so it pickles and forks.
    A JSON list is parsed whole once, so a mistake anywhere in it is found here; a line of a JSON-lines file is
    parsed when it is read.

    Raises:
        DataError: The file cannot be read, is empty, or is neither form; malformed JSON with line and column.
    """

    def __init__(self, path: Path, limit: int | None = None) -> None:
        self.path = path
        text = read_text(path) if _starts_with_bracket(path) else None
        places = []
        for place in _lines(path) if text is None else _elements(text, path):
            places.append(place)
            if len(places) == limit:
                break
        if not places:
            raise DataError(f"{path}: holds no records")
        starts, lengths, lines = zip(*places, strict=True)
        self._starts = np.array(starts, dtype=np.int64)
        self._lengths = np.array(lengths, dtype=np.int64)
        self._lines = np.array(lines, dtype=np.int32)
        self._size = path.stat().st_size
        if text is None and limit is None and len(self) == 1:
            self[0]  # a file of one object is often an object spread over lines, which is no list of records

    def __len__(self) -> int:
        return len(self._starts)

    def line(self, index: int) -> int:
        """Line of a record, counted from 1."""
        return int(self._lines[index])

    def where(self, index: int) -> str:
        """File and line of a record, for messages."""
        return f"{self.path}:{self.line(index)}"

    def __getitem__(self, index: int) -> dict[str, Any]:
        """Record number `index`; DataError when it is malformed, no object, or holds text that is no Unicode."""
        start, length = int(self._starts[index]), int(self._lengths[index])
        try:
            with self.path.open("rb") as stream:
                if stream.seek(0, 2) != self._size:
                    raise DataError(f"{self.path}: has changed since it was opened; start again")
                stream.seek(start)
                data = stream.read(length)
        except OSError as error:
            raise DataError(f"{self.path}: cannot be read ({error.strerror or error})") from error
        try:
            text = data.decode()
        except UnicodeDecodeError as error:
            raise DataError(f"{self.where(index)}: not UTF-8 text (byte {error.start}: {error.reason})") from error
        value = parse_json(text, self.path, int(self._lines[index]))
        if not isinstance(value, dict):
            raise DataError(f"{self.where(index)}: expected an object {{…}}, got {type(value).__name__}")
        if "\\u" in text:  # UTF-8 cannot hold a lone surrogate, but JSON can spell one
            try:
                check_unicode_in(value)
            except DataError as error:
                raise DataError(f"{self.where(index)}: {error}") from None
        return value


def _starts_with_bracket(path: Path) -> bool:
    """Whether the first character that is not white space opens a list: this tells JSON from JSON lines."""
    try:
        with path.open("rb") as stream:
            for line in stream:
                if content := line.removeprefix(_MARK).strip():
                    return content.startswith(b"[")
    except OSError as error:
        raise DataError(f"{path}: cannot be read ({error.strerror or error})") from error
    raise DataError(f"{path}: is empty; expected a JSON list or JSON lines")


def _lines(path: Path) -> Iterator[tuple[int, int, int]]:
    """Byte offset, length and line number of each line that is not blank."""
    offset = 0
    with path.open("rb") as stream:
        for number, line in enumerate(stream, start=1):
            skip = 3 if number == 1 and line.startswith(_MARK) else 0
            if line[skip:].strip():
                yield offset + skip, len(line) - skip, number
            offset += len(line)


def _elements(text: str, path: Path) -> Iterator[tuple[int, int, int]]:
    """Byte offset, length and line number of each element of a JSON list."""
    with path.open("rb") as stream:
        offset = 3 if stream.read(3) == _MARK else 0
    seen, line = 0, 1

    def skip(position: int) -> int:
        match = _SPACE.match(text, position)
        assert match is not None
        return match.end()

    position = skip(0) + 1  # past the bracket
    while True:
        position = skip(position)
        if text[position : position + 1] == "]" and not seen:
            break
        try:
            _, end = _DECODER.raw_decode(text, position)
        except (ValueError, RecursionError) as error:
            raise _malformed(error, path) from error
        gap = text[seen:position]
        offset, line = offset + len(gap.encode()), line + gap.count("\n")
        element = text[position:end]
        length = len(element.encode())
        yield offset, length, line
        offset, line, seen = offset + length, line + element.count("\n"), end
        position = skip(end)
        if text[position : position + 1] == "]":
            break
        if text[position : position + 1] != ",":
            raise _malformed(json.JSONDecodeError("Expecting ',' or ']'", text, position), path)
        position += 1
    if skip(position + 1) != len(text):
        raise _malformed(json.JSONDecodeError("Extra data after the list", text, skip(position + 1)), path)
