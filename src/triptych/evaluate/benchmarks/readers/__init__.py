"""From a task's data folder to its items; a task whose data is absent says what to get and where to put it."""

from __future__ import annotations

import os
from pathlib import Path
from typing import assert_never

from triptych.errors import DataError
from triptych.evaluate.benchmarks.config import AmberSource, CocoSource, FolderSource, RecordsSource, TaskFile
from triptych.evaluate.benchmarks.items import Item
from triptych.evaluate.benchmarks.readers.faults import Faults
from triptych.evaluate.benchmarks.readers.pictures import Pictures
from triptych.paths import user_path

DATA_VARIABLE = "TRIPTYCH_DATA"


def data_root() -> Path:
    """The data folder where none is named: that of the environment variable, or `data`."""
    return Path(os.environ.get(DATA_VARIABLE, "data"))


def read(
    task: TaskFile, data: Path | None = None, faults: Faults | None = None, pictures: Pictures | None = None
) -> list[Item]:
    """The items of a task, in the order of its files. A record that cannot be read costs this record.

    Args:
        task: Which.
        data: The data folder; that of the environment variable TRIPTYCH_DATA, or `data`, by default. The task's own folder
            lies in it, or it is the task's own folder itself.
        faults: Where the records that cannot be read are noted.
        pictures: Finds the pictures, which must be there by default.

    Raises:
        DataError: The data is not there (the message says what to get and where to put it), a file is malformed as a whole, or
            none of its records can be read (file, line or record, reason).
    """
    faults = Faults() if faults is None else faults
    pictures = Pictures() if pictures is None else pictures
    root = data_root() if data is None else data
    own = user_path(task.data.folder, root, DataError)
    folder = own if own.is_dir() else root
    match task.source:
        case RecordsSource() as source:
            from triptych.evaluate.benchmarks.readers.records import read_records

            items = read_records(task, source, folder, faults, pictures)
        case CocoSource() as source:
            from triptych.evaluate.benchmarks.readers.coco import read_coco

            items = read_coco(task, source, folder, faults, pictures)
        case FolderSource() as source:
            from triptych.evaluate.benchmarks.readers.mme import read_mme

            items = read_mme(task, folder / source.folder, faults, pictures)
        case AmberSource() as source:
            from triptych.evaluate.benchmarks.readers.amber import read_amber

            items = read_amber(task, source, folder, faults, pictures)
        case _:
            assert_never(task.source)
    items = _usable(task, items, faults)
    if not items:
        why = f"; {faults}" if faults.count else ""
        raise DataError(f"{folder}: the files of {task.name} hold no question that its task file keeps{why}")
    return items


def _usable(task: TaskFile, items: list[Item], faults: Faults) -> list[Item]:
    """The items with ids of their own, text that is valid Unicode, and a truth that can be scored."""
    from triptych.evaluate.scoring.metric import AnswerMetric

    metric = task.build_metric()
    kept: dict[str, Item] = {}
    for item in items:
        truths = item.truth if isinstance(item.truth, list) else [item.truth]
        try:
            for text in (item.id, item.question, *truths, *item.options):
                text.encode()
        except UnicodeEncodeError as error:
            faults.add(f"{item.id!a}: no valid Unicode, character {error.start}")
            continue
        if item.id in kept:
            faults.add(f"{item.id}: there is a question with this id already; answers are told apart by it")
            continue
        if isinstance(metric, AnswerMetric) and (reason := metric.unscorable(item)) is not None:
            faults.add(f"{item.id}: {reason}")
            continue
        kept[item.id] = item
    return list(kept.values())


def absent(task: TaskFile, folder: Path, file: str) -> DataError:
    """The error for data that is not there: what to get, and where to put it."""
    own = folder if folder.name == task.data.folder else folder / task.data.folder
    files = "\n".join(f"  {own / name}" for name in task.data.put)
    return DataError(
        f"{task.name}: {file} is not there. Get: {task.data.get}\nPut:\n{files}\n"
        f"(`--data FOLDER` or the environment variable {DATA_VARIABLE} names another data folder than {folder})"
    )
