"""From a task's data folder to its items; a task whose data is absent says what to get and where to put it."""

from __future__ import annotations

import os
from pathlib import Path
from typing import assert_never

from triptych.errors import DataError
from triptych.evaluate.benchmarks.config import AmberSource, CocoSource, FolderSource, RecordsSource, TaskFile
from triptych.evaluate.benchmarks.items import Item

DATA_VARIABLE = "TRIPTYCH_DATA"


def data_root() -> Path:
    """The data folder where none is named: that of the environment variable, or `data`."""
    return Path(os.environ.get(DATA_VARIABLE, "data"))


def read(task: TaskFile, data: Path | None = None) -> list[Item]:
    """The items of a task, in the order of its files.

    Args:
        task: Which.
        data: The data folder; that of the environment variable TRIPTYCH_DATA, or `data`, by default. The task's own folder
            lies in it, or it is the task's own folder itself.

    Raises:
        DataError: The data is not there (the message says what to get and where to put it), or is malformed (file, line or
            record, reason).
    """
    root = data_root() if data is None else data
    own = root / task.data.folder
    folder = own if own.is_dir() else root
    match task.source:
        case RecordsSource() as source:
            from triptych.evaluate.benchmarks.readers.records import read_records

            items = read_records(task, source, folder)
        case CocoSource() as source:
            from triptych.evaluate.benchmarks.readers.coco import read_coco

            items = read_coco(task, source, folder)
        case FolderSource() as source:
            from triptych.evaluate.benchmarks.readers.mme import read_mme

            items = read_mme(task, folder / source.folder)
        case AmberSource() as source:
            from triptych.evaluate.benchmarks.readers.amber import read_amber

            items = read_amber(task, source, folder)
        case _:
            assert_never(task.source)
    if not items:
        raise DataError(f"{folder}: the files of {task.name} hold no question that its task file keeps")
    return items


def absent(task: TaskFile, folder: Path, file: str) -> DataError:
    """The error for data that is not there: what to get, and where to put it."""
    own = folder if folder.name == task.data.folder else folder / task.data.folder
    files = "\n".join(f"  {own / name}" for name in task.data.put)
    return DataError(
        f"{task.name}: {file} is not there. Get: {task.data.get}\nPut:\n{files}\n"
        f"(`--data FOLDER` or the environment variable {DATA_VARIABLE} names another data folder than {folder})"
    )
