"""Benchmarks of drawing: pictures that any program made for a task's texts, against the real ones and against the texts."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from triptych.conversation import Image
from triptych.errors import DataError
from triptych.evaluate.benchmarks.config import TaskFile
from triptych.evaluate.benchmarks.items import Item
from triptych.evaluate.benchmarks.options import Options
from triptych.evaluate.benchmarks.readers.faults import Faults
from triptych.evaluate.embedding.extractor import Extractor
from triptych.evaluate.metrics.images import GROUPS, Images, halves, rows_of
from triptych.evaluate.results import Unparsed
from triptych.evaluate.task import Store, Task
from triptych.evaluate.tasks.question import Measured, Record
from triptych.progress import counted

SUFFIXES = (".png", ".jpg", ".jpeg", ".webp")
NOT_MADE = "no picture was made"


@dataclass(frozen=True)
class Drawn:
    """Made pictures, called as the task's items, `ID.png` or another kind, and what makes features of them.

    Args:
        drawn: The folder.
        extractor: Its texts count, too, where it reads texts.
    """

    drawn: Path
    extractor: Extractor


class DrawnTask(Task):
    """The Fréchet distance of made pictures to the task's, and how well each fits its text where the extractor reads texts.

    Items without a picture are counted as failed, and the rest is scored against the real pictures of the same items.

    Args:
        file: The benchmark.
        items: Its texts with real pictures.
        options: `seed` counts.
        faults: The records that cannot be read.
    """

    kind = "images"
    needs = "draws"
    keeps_records = False

    def __init__(self, file: TaskFile, items: Sequence[Item], options: Options, faults: Faults) -> None:
        self.file, self.items, self.unreadable = file, items, faults
        self.dataset, self.seed = file.name, options.seed
        self.metrics = [Images()]

    def answer(self, model: Drawn, store: Store) -> list[Record]:  # noqa: ARG002 - nothing is kept
        """Features of the made and the real pictures.

        Raises:
            DataError: Hardly a picture was made.
        """
        began, name, extractor = time.monotonic(), self.file.name, model.extractor
        self._extractor = extractor
        made = {item.id: path for item in self.items if (path := _made(model.drawn, item.id)) is not None}
        drawn = [item for item in self.items if item.id in made]
        if len(drawn) < 2 * GROUPS:
            raise DataError(
                f"{model.drawn}: has pictures for {len(drawn)} of {len(self.items)} items; {2 * GROUPS} are the fewest "
                f"to measure a distance with. They are called ID.png, for example {self.items[0].id}.png"
            )
        pictures = [Image(made[item.id]) for item in drawn]
        with counted(f"{name}, made pictures", pictures, "pictures") as each:
            values = {"made": extractor.features(each)}
        with counted(f"{name}, real pictures", [item.images[0] for item in drawn], "pictures") as each:
            values["real"] = extractor.features(each)
        if extractor.both is not None:
            with counted(f"{name}, against texts", pictures, "pictures") as each:
                values["picture"] = extractor.both.images(each)
            values["text"] = extractor.both.texts([_text(item) for item in drawn])
        rows = {item.id: {key: held[i] for key, held in values.items()} for i, item in enumerate(drawn)}
        seconds = (time.monotonic() - began) / len(self.items)
        return [
            Measured(
                item.id, self.kind, _text(item), item.truth, "", "stop", 0, seconds, place,
                error=None if item.id in rows else NOT_MADE, values=rows.get(item.id, {}),
            )
            for place, item in enumerate(self.items)
        ]  # fmt: skip

    def control(self, model: Drawn, store: Store, records: Sequence[Record]) -> list[Record]:  # noqa: ARG002
        """See `Task`: each picture with the text of another one."""
        shown = [record for record in records if isinstance(record, Measured) and "text" in record.values]
        texts = np.roll(rows_of(shown, "text"), 1, axis=0) if shown else ()
        return [
            replace(record, values={"picture": record.values["picture"], "text": text})
            for record, text in zip(shown, texts, strict=True)
        ]

    def samples(self, records: Sequence[Record]) -> int:
        """How many pictures were made."""
        return sum(record.error is None for record in records)

    def unparsed(self, records: Sequence[Record]) -> Unparsed:  # noqa: ARG002 - nothing is parsed
        """None: nothing is said that would have to be read."""
        return Unparsed(count=0, share=0.0)

    def facts(self, records: Sequence[Record]) -> dict[str, Any]:
        """What looked at the pictures, without which a distance says nothing."""
        real = rows_of([record for record in records if record.error is None], "real")
        return {
            "title": self.file.title,
            "paper": self.file.paper,
            "headline": self.file.headline,
            "extractor": self._extractor.name,
            "extractor_fingerprint": self._extractor.fingerprint,
            "width": int(real.shape[1]),
            "fid_between_real_halves": halves(real, self.seed),
        } | self.unreadable.facts


def _text(item: Item) -> str:
    return str(item.truth[0] if isinstance(item.truth, list) else item.truth)


def _made(folder: Path, name: str) -> Path | None:
    """The picture of an item, which stays inside the folder."""
    for suffix in SUFFIXES:
        path = folder / f"{name}{suffix}"
        if path.is_file() and path.resolve().is_relative_to(folder.resolve()):
            return path
    return None
