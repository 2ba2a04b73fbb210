"""Files of records, whichever of the known forms they have: a JSON list, JSON lines, or parquet."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Protocol

from triptych.data.files import Records
from triptych.data.parquet import MAGIC, ParquetRecords


class RecordFile(Protocol):
    """Records, each read when it is asked for."""

    path: Path

    def __len__(self) -> int: ...

    def __getitem__(self, index: int, /) -> dict[str, Any]: ...

    def line(self, index: int, /) -> int:
        """Line or row of a record."""
        ...

    def where(self, index: int, /) -> str:
        """File and line or row of a record, for messages."""
        ...


def open_records(path: Path, limit: int | None = None) -> RecordFile:
    """The records of a file, told by its suffix or by its first bytes.

    Args:
        path: The file.
        limit: Read only the first records, this many.

    Raises:
        DataError: The file cannot be read, is none of the forms, or holds no records.
    """
    return ParquetRecords(path, limit) if _is_parquet(path) else Records(path, limit)


def _is_parquet(path: Path) -> bool:
    if path.suffix.lower() in (".parquet", ".pq"):
        return True
    try:
        with path.open("rb") as stream:
            return stream.read(len(MAGIC)) == MAGIC
    except OSError:
        return False  # the reader of JSON says what is wrong
