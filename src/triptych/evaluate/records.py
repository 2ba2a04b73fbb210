"""Per-sample records on disk: one JSON object per line, appended batch by batch, readable after any interruption."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from types import NoneType
from typing import Any, BinaryIO

from triptych.errors import EvaluationError, one_line, quoted
from triptych.evaluate.tasks.question import Question, Record
from triptych.files import read_object, write_atomically, writing


def read_records(path: Path) -> dict[str, Record]:
    """Records by id; of several with one id the last counts. A torn last line is ignored; no file is no records.

    Raises:
        EvaluationError: A line within the file is no record.
    """
    try:
        lines = path.read_bytes().split(b"\n")
    except FileNotFoundError:
        return {}
    except OSError as error:
        raise EvaluationError(f"{path}: cannot be read ({error.strerror})") from error
    records = {}
    for number, line in enumerate(lines[:-1], start=1):  # what follows the last newline was torn off
        try:
            record = _record(json.loads(line))
            records[record.id] = record
        except (ValueError, TypeError, AttributeError, KeyError, RecursionError) as error:
            raise EvaluationError(
                f"{path}:{number}: not a record of an evaluation ({one_line(error)}); remove the file to evaluate anew"
            ) from error
    return records


_TYPES: dict[str, tuple[type, ...]] = {
    "id": (str,), "kind": (str,), "question": (str,), "truth": (str, list), "answer": (str,), "finish": (str,), "tokens": (int,),
    "seconds": (int, float), "sample": (int,), "image": (dict,), "parsed": (str, NoneType), "correct": (bool, int, float),
    "error": (str, NoneType), "facts": (dict,), "verdict": (str, NoneType), "regions": (dict, NoneType),
    "judged": (dict, NoneType),
}  # fmt: skip


def _record(values: Any) -> Record:
    """A record of plain values. TypeError: some are missing, unknown, or of another kind."""
    record = Record(**values)
    for name, types in _TYPES.items():
        value = getattr(record, name)
        if not isinstance(value, types):
            raise TypeError(f"`{name}` is {quoted(value)}, expected {' or '.join(kind.__name__ for kind in types)}")
    if isinstance(record.truth, list) and not all(isinstance(truth, str) for truth in record.truth):
        raise TypeError(f"`truth` is {quoted(record.truth)}, expected texts")
    return record


class RecordFile:
    """Appends records to a file, each batch whole and on the disk before `append` returns.

    Args:
        path: The file.
        kept: What it holds at first; by default what is in it.
    """

    def __init__(self, path: Path, kept: Iterable[Record] | None = None) -> None:
        self._path = path
        if kept is not None:
            write_atomically(path, encode(kept))
            return
        with (
            writing(path),
            _opened(path) as file,
        ):  # cut a torn last line, so that the next record starts on a line of its own
            file.seek(0)
            content = file.read()
            file.truncate(content.rfind(b"\n") + 1)

    def append(self, records: Iterable[Record]) -> None:
        """Add lines at the end.

        Raises:
            FolderError: The file cannot be written.
        """
        with writing(self._path), self._path.open("ab") as file:
            file.write(encode(records))
            file.flush()
            os.fsync(file.fileno())


def _opened(path: Path) -> BinaryIO:
    path.parent.mkdir(parents=True, exist_ok=True)
    return path.open("ab+")


def encode(records: Iterable[Record]) -> bytes:
    """Records as JSON lines. Text that is no valid Unicode (lone surrogates) is escaped."""
    lines = (json.dumps(record.to_json(), ensure_ascii=False) + "\n" for record in records)
    return "".join(lines).encode("utf-8", errors="backslashreplace")


def write_records(path: Path, records: Sequence[Record]) -> None:
    """Replace the file by these records, atomically; a file that holds them already is left alone."""
    content = encode(records)
    if not (path.exists() and path.read_bytes() == content):
        write_atomically(path, content)


def check_belonging(records: Mapping[str, Record], questions: Iterable[Question], path: Path) -> None:
    """Raise EvaluationError if a record answers another question than the one that now has its id."""
    for question in questions:
        record = records.get(question.id)
        if record is None:
            continue
        now = (question.text, question.truth, question.sample, question.shown)
        then = (record.question, record.truth, record.sample, record.image.get("index"))
        if now != then:
            raise EvaluationError(
                f"{path}: the record {question.id} is about another question ({record.question!r}, {record.truth!r}) "
                f"than the dataset now has under that name ({question.text!r}, {question.truth!r}); evaluate anew with "
                "`--restart` (Python: `fresh=True`)"
            )


def check_settings(path: Path, settings: Mapping[str, Any]) -> None:
    """Write what records depend on beside them; if other settings are there already, the records are of those.

    Raises:
        EvaluationError: The records were made with other settings; the message names each.
    """
    if not path.exists():
        write_atomically(path, (json.dumps(settings, indent=2, ensure_ascii=False) + "\n"))
        return
    try:
        before = read_object(path, EvaluationError)
    except EvaluationError as error:
        raise EvaluationError(f"{error}; evaluate anew with `--restart`") from error
    now = json.loads(json.dumps(settings))
    changed = [
        f"{key}: {before.get(key)!r} → {now.get(key)!r}" for key in {**before, **now} if before.get(key) != now.get(key)
    ]
    if changed:
        raise EvaluationError(
            f"{path.parent}: there are records made with other settings ({'; '.join(changed)}); evaluate anew with "
            "`--restart` (Python: `fresh=True`), which discards them"
        )
