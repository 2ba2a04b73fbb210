"""Parquet files as records, through pyarrow: a row group, or a batch of a large one, in memory at a time."""

from __future__ import annotations

import bisect
from pathlib import Path
from typing import Any

from triptych.errors import DataError, excerpt

MAGIC = b"PAR1"
"""The first bytes of every parquet file."""

GROUP_BYTES = 256 * 1024 * 1024
"""Row groups above this size are read batch by batch."""

BATCH_ROWS = 64


class ParquetRecords:
    """The rows of a parquet file. It holds no file open, so it pickles and forks.

    Args:
        path: The file.
        limit: Read only the first rows, this many.

    Raises:
        DataError: The file cannot be read, holds no rows, or `pyarrow` is not installed.
    """

    def __init__(self, path: Path, limit: int | None = None) -> None:
        self.path = path
        self._starts = [0]
        metadata = self._open().metadata
        for group in range(metadata.num_row_groups):
            self._starts.append(self._starts[-1] + metadata.row_group(group).num_rows)
        self._length = self._starts[-1] if limit is None else min(limit, self._starts[-1])
        if not self._length:
            raise DataError(f"{path}: holds no records")
        self._kept: tuple[int, int, Any] | None = (
            None  # first row, row behind the last, pyarrow's table or batch of them
        )

    def __len__(self) -> int:
        return self._length

    def line(self, index: int) -> int:
        """Row of a record, counted from 0."""
        return range(len(self))[index]

    def where(self, index: int) -> str:
        """File and row, for messages."""
        return f"{self.path}: row {self.line(index)}"

    def __getitem__(self, index: int) -> dict[str, Any]:
        """Row number `index`; DataError, with file and row, when it cannot be read: a damaged page costs its row group."""
        index = self.line(index)
        try:
            if self._kept is None or not self._kept[0] <= index < self._kept[1]:
                self._kept = self._read(index)
            first, _, rows = self._kept
            (row,) = rows.slice(index - first, 1).to_pylist()
        except DataError:
            raise
        except Exception as error:  # pyarrow raises many kinds
            raise DataError(f"{self.where(index)}: cannot be read ({_short(error)})") from error
        found: dict[str, Any] = row
        return found

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_kept": None}

    def _read(self, index: int) -> tuple[int, int, Any]:
        """The rows that are read together with a row."""
        file = self._open()
        group = bisect.bisect_right(self._starts, index) - 1
        first = self._starts[group]
        if file.metadata.row_group(group).total_byte_size <= GROUP_BYTES:
            return first, self._starts[group + 1], file.read_row_group(group)
        for batch in file.iter_batches(BATCH_ROWS, row_groups=[group]):
            if index < first + len(batch):
                return first, first + len(batch), batch
            first += len(batch)
        raise DataError(f"{self.where(index)}: its row group ends before it")

    def _open(self) -> Any:
        try:
            from pyarrow.parquet import ParquetFile
        except ImportError:
            raise DataError(
                f"{self.path}: parquet needs pyarrow: pip install pyarrow (or convert it to JSON lines)"
            ) from None
        try:
            return ParquetFile(self.path)
        except Exception as error:
            raise DataError(f"{self.path}: cannot be read as parquet ({_short(error)})") from error


def _short(error: Exception) -> str:
    return excerpt(str(error), 200) or type(error).__name__
