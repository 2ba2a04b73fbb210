"""Records of JSON, JSON-lines, TSV and CSV files, each with the place it was found at."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from triptych.data.files import parse_json, read_text
from triptych.errors import DataError
from triptych.evaluate.benchmarks.items import take

Located = tuple[str, dict[str, Any]]
"""Where a record is, for messages, and its values."""

MISTAKES = (ValueError, TypeError, SyntaxError, IndexError, AttributeError, RecursionError)
"""What a value of another form than expected leads to; a key that is not there is a KeyError."""


@contextmanager
def located(where: str) -> Iterator[None]:
    """What is wrong with a record is told with the place it was found at.

    Raises:
        DataError: The block misses a key or stumbles over a value.
    """
    try:
        yield
    except KeyError as error:
        raise DataError(f"{where}: has no {error.args[0]!r}") from error
    except MISTAKES as error:
        raise DataError(f"{where}: {error}") from error


def records(path: Path, at: str = "") -> Iterator[Located]:
    """The records of a file, whose form its name's ending tells.

    Args:
        path: `.json`, `.jsonl`, `.tsv`, `.csv`; a `.json` file that holds one object a line is read as such, too.
        at: Dotted path to the list of records, or object of records, in a JSON file.

    Raises:
        DataError: The file cannot be read or is malformed; with file and line.
    """
    match path.suffix.lower():
        case ".tsv" | ".csv":
            yield from _table(path, "\t" if path.suffix.lower() == ".tsv" else ",")
        case ".jsonl" | ".ndjson":
            yield from _lines(path, read_text(path))
        case _:
            text = read_text(path)
            try:
                value = parse_json(text, path)
            except DataError:
                if at or "\n{" not in text.strip():
                    raise
                yield from _lines(path, text)
            else:
                yield from _listed(path, value, at)


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


def _lines(path: Path, text: str) -> Iterator[Located]:
    for number, line in enumerate(text.split("\n"), start=1):
        if line.strip():
            value = parse_json(line, path, number)
            if not isinstance(value, dict):
                raise DataError(f"{path}:{number}: expected an object {{…}}, got {type(value).__name__}")
            yield f"{path}:{number}", {"key": str(number), **value}


def _table(path: Path, delimiter: str) -> Iterator[Located]:
    csv.field_size_limit(2**31 - 1)  # pictures stand in cells, in base64
    reader = csv.DictReader(io.StringIO(read_text(path), newline=""), delimiter=delimiter)
    if not reader.fieldnames:
        raise DataError(f"{path}:1: the first line names the columns, and this one names none")
    try:
        for row in reader:
            where = f"{path}:{reader.line_num}"
            if None in row or None in row.values():
                raise DataError(
                    f"{where}: has another number of cells than the {len(reader.fieldnames)} columns named in line 1"
                )
            yield where, {"key": str(reader.line_num), **{name: value for name, value in row.items() if name}}
    except csv.Error as error:
        raise DataError(f"{path}:{reader.line_num}: malformed table ({error})") from error
