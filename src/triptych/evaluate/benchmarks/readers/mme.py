"""MME as released: `SUBTASK/images/X.jpg` and `SUBTASK/questions_answers_YN/X.txt`, or both in one folder."""

from __future__ import annotations

from pathlib import Path

from triptych.conversation import Image
from triptych.data.files import read_text
from triptych.errors import DataError
from triptych.evaluate.benchmarks.config import TaskFile
from triptych.evaluate.benchmarks.items import Item
from triptych.evaluate.benchmarks.readers.faults import Faults
from triptych.evaluate.benchmarks.readers.pictures import Pictures
from triptych.evaluate.metrics.mme import COGNITION, SUBTASKS

QUESTIONS = "questions_answers_YN"
_PICTURES = (".jpg", ".png", ".jpeg")


def read_mme(task: TaskFile, folder: Path, faults: Faults, pictures: Pictures) -> list[Item]:
    """Two items a picture; a text file without a picture, and a line that is no question, tab and Yes or No, are faults.

    Raises:
        DataError: No subtask is there.
    """
    from triptych.evaluate.benchmarks.readers import absent

    present = [subtask for subtask in SUBTASKS if (folder / subtask).is_dir()]
    if not present:
        raise absent(task, folder, SUBTASKS[0])
    items: list[Item] = []
    for subtask in present:
        for file in sorted((folder / subtask).rglob("*.txt")):
            with faults.at(str(file)):
                picture = _picture(file, subtask, pictures)
                for number, line in enumerate(read_text(file).splitlines(), start=1):
                    if line.strip():
                        with faults.at(f"{file}:{number}"):
                            items.append(_item(line, subtask, file, number, picture))
    return items


def _item(line: str, subtask: str, file: Path, number: int, picture: Image) -> Item:
    question, _, truth = line.strip().rpartition("\t")
    truth = truth.lower().strip(" .")
    if truth not in ("yes", "no") or not question:
        raise DataError(f"{file}:{number}: expected a question, a tab and Yes or No, got {line[:200]!r}")
    id_ = f"{subtask}/{file.stem}/{number}"
    return Item(id_, question, truth, (picture,), subtask, picture=f"{subtask}/{file.stem}")


def _picture(file: Path, subtask: str, pictures: Pictures) -> Image:
    folders = (file.parent, file.parent.parent / "images")
    for folder in folders:
        for ending in _PICTURES:
            if (path := folder / f"{file.stem}{ending}").is_file():
                return Image(path)
    if not pictures.needed:  # called as the release calls it, so that the hash of the dataset is that of the whole one
        ending = ".png" if subtask in COGNITION else ".jpg"
        return pictures.absent(folders[file.parent.name == QUESTIONS] / f"{file.stem}{ending}")
    raise DataError(f"{file}: there is no picture {file.stem}.jpg or .png beside it or in ../images")
