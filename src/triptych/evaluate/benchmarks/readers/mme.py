"""MME as released: `SUBTASK/images/X.jpg` and `SUBTASK/questions_answers_YN/X.txt`, or both in one folder."""

from __future__ import annotations

from pathlib import Path

from triptych.conversation import Image
from triptych.data.files import read_text
from triptych.errors import DataError
from triptych.evaluate.benchmarks.config import TaskFile
from triptych.evaluate.benchmarks.items import Item
from triptych.evaluate.metrics.mme import SUBTASKS

_PICTURES = (".jpg", ".png", ".jpeg")


def read_mme(task: TaskFile, folder: Path) -> list[Item]:
    """Two items a picture.

    Raises:
        DataError: No subtask is there; a text file has no picture, or a line is no question, tab and Yes or No.
    """
    from triptych.evaluate.benchmarks.readers import absent

    present = [subtask for subtask in SUBTASKS if (folder / subtask).is_dir()]
    if not present:
        raise absent(task, folder, SUBTASKS[0])
    items = []
    for subtask in present:
        for file in sorted((folder / subtask).rglob("*.txt")):
            picture = _picture(file)
            for number, line in enumerate(read_text(file).splitlines(), start=1):
                if not line.strip():
                    continue
                question, _, truth = line.strip().rpartition("\t")
                if truth.lower().strip(" .") not in ("yes", "no") or not question:
                    raise DataError(f"{file}:{number}: expected a question, a tab and Yes or No, got {line!r}")
                id_ = f"{subtask}/{file.stem}/{number}"
                truth = truth.lower().strip(" .")
                items.append(Item(id_, question, truth, (Image(picture),), subtask, picture=f"{subtask}/{file.stem}"))
    return items


def _picture(file: Path) -> Path:
    folders = (file.parent, file.parent.parent / "images")
    for folder in folders:
        for ending in _PICTURES:
            if (path := folder / f"{file.stem}{ending}").is_file():
                return path
    raise DataError(f"{file}: there is no picture {file.stem}.jpg or .png beside it or in ../images")
