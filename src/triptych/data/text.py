"""Text to pretrain on: every token is predicted, nobody speaks.

stories.txt      documents with blank lines between them, or one document a file
stories.jsonl    {"text": "Once upon a time …"}, one document a line
"""

from __future__ import annotations

import bisect
import re
from collections.abc import Iterator
from itertools import accumulate, pairwise
from pathlib import Path
from typing import Literal, Protocol, TypeAlias

from triptych.conversation import Conversation, document
from triptych.data.config import TextConfig
from triptych.data.dialects.keys import refuse_media
from triptych.data.files import data_path
from triptych.data.records import open_records
from triptych.errors import DataError, quoted

Documents: TypeAlias = Literal["blank_lines", "file"]

RECORDS = (".jsonl", ".json", ".parquet")
SUFFIXES = (".txt", *RECORDS)
"""What is read of a folder."""

_BLANK = re.compile(rb"\n[ \t\r]*\n\s*")
_SPACE = re.compile(r"\s+")
_MARK = b"\xef\xbb\xbf"


class TextSource:
    """Documents of plain text, each one conversation of a single `document` message, read when it is asked for.

    Args:
        path: A text file, a JSON-lines file, or a folder whose files (and subfolders' files) of these kinds are read in
            order of their names.
        documents: What a document is in a text file: what stands between blank lines, or the whole file.
        field: The key of the text in JSON lines.
        chunk_characters: Cut longer documents into pieces of at most so many characters, between words; each piece
            is a record of its own.
        limit: Read only the first records, this many.

    Raises:
        DataError: There is no such file, or nothing in it.
    """

    def __init__(
        self,
        path: Path,
        *,
        documents: Documents = "blank_lines",
        field: str = "text",
        chunk_characters: int | None = None,
        limit: int | None = None,
    ) -> None:
        self.chunk_characters = chunk_characters
        self._files: list[_File] = []
        self._places: list[tuple[int, int, int]] = []  # file, document in it, piece of it
        for file in _files(path):
            self._files.append(_Lines(file, field) if file.suffix in RECORDS else _Plain(file, documents))
            for number in range(len(self._files[-1])):
                pieces = self._pieces_of(self._files[-1], number)
                self._places += [(len(self._files) - 1, number, piece) for piece in range(pieces)]
                if limit is not None and len(self._places) >= limit:
                    del self._places[limit:]
                    return
        if not self._places:
            raise DataError(f"{path}: holds no text")

    @classmethod
    def from_config(cls, config: TextConfig, base: Path) -> TextSource:
        """Open it; relative paths start from `base`. Raises DataError where the dataset as a whole is unusable."""
        return cls(
            data_path(config.path, base),
            documents=config.documents,
            field=config.field,
            chunk_characters=config.chunk_characters,
            limit=config.limit,
        )

    def __len__(self) -> int:
        return len(self._places)

    def where(self, index: int) -> str:
        """File and line of a document."""
        which, number, _ = self._places[index]
        return f"{self._files[which].path}:{self._files[which].line(number)}"

    def __getitem__(self, index: int) -> Conversation:
        """Document number `index`, named by file, line and piece; DataError when it cannot be read or is empty."""
        which, number, piece = self._places[index]
        file = self._files[which]
        text = file.text(number)
        name = f"{file.path.name}:{file.line(number)}"
        if self.chunk_characters is not None:
            start, end = list(pieces(text, self.chunk_characters))[piece]
            text, name = text[start:end], f"{name}/{piece}"
        return Conversation((document(text),), id=name)

    def _pieces_of(self, file: _File, number: int) -> int:
        if self.chunk_characters is None:
            return 1
        try:
            return sum(1 for _ in pieces(file.text(number), self.chunk_characters))
        except DataError:
            return 1  # raised again when the record is asked for, so that the ledger counts it


def pieces(text: str, most: int) -> Iterator[tuple[int, int]]:
    """Start and end of pieces of at most `most` characters that hold all of the text but the white space between them.

    Cuts are between words; only a word longer than `most` is cut itself.
    """
    start = len(text) - len(text.lstrip())
    last = len(text.rstrip())
    while last - start > most:
        end = start + most
        gaps = [match.span() for match in _SPACE.finditer(text, start, end + 1) if match.start() > start]
        cut, following = gaps[-1] if gaps else (end, end)
        yield start, min(cut, end)
        space = _SPACE.match(text, following)
        start = space.end() if space else following
    if start < last:
        yield start, last


class _File(Protocol):
    path: Path

    def __len__(self) -> int: ...

    def line(self, number: int) -> int: ...

    def text(self, number: int) -> str: ...


class _Lines:
    """A JSON-lines file (or a JSON list)."""

    def __init__(self, path: Path, field: str) -> None:
        self.path, self.field = path, field
        self.records = open_records(path)

    def __len__(self) -> int:
        return len(self.records)

    def line(self, number: int) -> int:
        return self.records.line(number)

    def text(self, number: int) -> str:
        record = self.records[number]
        text = record.get(self.field)
        try:
            refuse_media(record, "documents with pictures are `kind: interleaved`")
        except DataError as error:
            raise DataError(f"{self.records.where(number)}: {error}") from None
        if not isinstance(text, str) or not text.strip():
            raise DataError(f"{self.records.where(number)}: expected {self.field!r} to be text, got {quoted(text)}")
        return text


class _Plain:
    """A text file; only the places of its documents are held in memory."""

    def __init__(self, path: Path, documents: Documents) -> None:
        self.path = path
        content = self._read()
        start = len(_MARK) if content.startswith(_MARK) else 0
        gaps = [(0, start), *(match.span() for match in _BLANK.finditer(content)), (len(content), len(content))]
        if documents == "file":
            gaps = [gaps[0], gaps[-1]]
        spans = [(end, after) for (_, end), (after, _) in pairwise(gaps)]
        self._spans = [(a, b) for a, b in spans if content[a:b].strip()]
        ends = list(accumulate(len(line) for line in content.splitlines(keepends=True)))
        self._lines = [bisect.bisect_right(ends, a) + 1 for a, _ in self._spans]

    def __len__(self) -> int:
        return len(self._spans)

    def line(self, number: int) -> int:
        return self._lines[number]

    def text(self, number: int) -> str:
        start, end = self._spans[number]
        try:
            with self.path.open("rb") as stream:
                stream.seek(start)
                return stream.read(end - start).decode().strip()
        except OSError as error:
            raise DataError(f"{self.path}: cannot be read ({error.strerror or error})") from error
        except UnicodeDecodeError as error:
            raise DataError(f"{self.path}:{self.line(number)}: not UTF-8 text ({error.reason})") from error

    def _read(self) -> bytes:
        try:
            return self.path.read_bytes()
        except OSError as error:
            raise DataError(f"{self.path}: cannot be read ({error.strerror or error})") from error


def _files(path: Path) -> list[Path]:
    if not path.is_dir():
        return [path]
    found = sorted(file for file in path.rglob("*") if file.suffix in SUFFIXES and file.is_file())
    if not found:
        raise DataError(f"{path}: the folder holds no {', '.join(SUFFIXES)} files")
    return found
