"""Records of JSON, JSON-lines, TSV and CSV files, each with the place it was found at.

Cells are text as they stand: "NA", "None" or "nan" in a table are these letters, and only an empty cell is empty.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from triptych.data.files import parse_json, read_text
from triptych.errors import DataError
from triptych.evaluate.benchmarks.items import take
from triptych.evaluate.benchmarks.readers.faults import Faults

Located = tuple[str, dict[str, Any]]
"""Where a record is, for messages, and its values."""


def records(path: Path, at: str = "", faults: Faults | None = None) -> Iterator[Located]:
    """The records of a file, whose form its name's ending tells.

    Args:
        path: `.json`, `.jsonl`, `.tsv`, `.csv`; a `.json` file that holds one object a line is read as such, too.
        at: Dotted path to the list of records, or object of records, in a JSON file.
        faults: Where records that cannot be read are noted, and left out; without it the first one is an error.

    Raises:
        DataError: The file cannot be read or is malformed; with file and line.
    """
    match path.suffix.lower():
        case ".tsv" | ".csv":
            yield from _table(path, "\t" if path.suffix.lower() == ".tsv" else ",", faults)
        case ".jsonl" | ".ndjson":
            yield from _lines(path, _text(path, faults), faults)
        case _:
            text = _text(path, faults)
            try:
                value = parse_json(text, path)
            except DataError:
                if at or "\n{" not in text.strip():
                    raise
                yield from _lines(path, text, faults)
            else:
                yield from _listed(path, value, at)


def _text(path: Path, faults: Faults | None) -> str:
    """The text of a file. Where faults are noted, bytes that are no UTF-8 become lone surrogates: a fault of their record."""
    if faults is None:
        return read_text(path)
    try:
        return path.read_bytes().decode("utf-8-sig", errors="surrogateescape")
    except OSError as error:
        raise DataError(f"{path}: cannot be read ({error.strerror or error})") from error


def _fault(faults: Faults | None, error: DataError) -> None:
    if faults is None:
        raise error
    faults.add(str(error))


def _listed(path: Path, value: Any, at: str) -> Iterator[Located]:
    if at:
        try:
            value = take(value, at)
        except KeyError:
            raise DataError(f"{path}: holds nothing at {at!r}; is this the right file?") from None
    if (
        isinstance(value, Mapping)
        and not at
        and value
        and not any(isinstance(v, Mapping | list) for v in value.values())
    ):
        yield f"{path}:1", {"key": "1", **value}  # JSON lines of which there is one
        return
    if isinstance(value, Mapping):
        pairs: Iterator[tuple[str | int, Any]] = iter(value.items())
    elif isinstance(value, list):
        pairs = iter(enumerate(value, start=1))
    else:
        raise DataError(f"{path}: expected a list of records, got {type(value).__name__}")
    for key, record in pairs:
        where = f"{path}, record {key}"
        if not isinstance(record, Mapping):
            record = {"value": record}
        yield where, {"key": str(key), **record}


def _lines(path: Path, text: str, faults: Faults | None) -> Iterator[Located]:
    for number, line in enumerate(text.split("\n"), start=1):
        if line.strip():
            try:
                value = parse_json(line, path, number)
                if not isinstance(value, dict):
                    raise DataError(f"{path}:{number}: expected an object {{…}}, got {type(value).__name__}")
            except DataError as error:
                _fault(faults, error)
                continue
            yield f"{path}:{number}", {"key": str(number), **value}


def _table(path: Path, delimiter: str, faults: Faults | None) -> Iterator[Located]:
    csv.field_size_limit(2**31 - 1)  # pictures stand in cells, in base64
    text = _text(path, faults).replace("\0", "\ufffd")
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter)
    names = next(_rows(reader, path, faults), (1, []))[1]
    if not any(names):
        raise DataError(f"{path}:1: the first line names the columns, and this one names none")
    lines: list[str] | None = None
    before = reader.line_num
    for number, cells in _rows(reader, path, faults):
        first, before = before + 1, number
        if not cells:
            continue
        if len(cells) == len(names):
            yield f"{path}:{number}", {"key": str(number), **_named(names, cells)}
            continue
        error = DataError(f"{path}:{number}: has another number of cells than the {len(names)} columns named in line 1")
        if number == first or faults is None:
            _fault(faults, error)
            continue
        # A stray quotation mark takes the lines behind it for one cell: read them again, one by one, without quotation.
        lines = text.splitlines() if lines is None else lines
        for place in range(first, number + 1):
            (cells,) = csv.reader([lines[place - 1]], delimiter=delimiter, quoting=csv.QUOTE_NONE)
            if len(cells) == len(names):
                yield f"{path}:{place}", {"key": str(place), **_named(names, cells)}
            else:
                faults.add(f"{path}:{place}: has another number of cells than the {len(names)} columns named in line 1")


def _rows(reader: Any, path: Path, faults: Faults | None) -> Iterator[tuple[int, list[str]]]:
    """Rows with the line that each ends on."""
    while True:
        try:
            cells = next(reader)
            yield reader.line_num, cells
        except StopIteration:
            return
        except csv.Error as error:
            _fault(faults, DataError(f"{path}:{reader.line_num}: malformed table ({error})"))


def _named(names: list[str], cells: list[str]) -> dict[str, str]:
    return {name: cell for name, cell in zip(names, cells, strict=True) if name}
