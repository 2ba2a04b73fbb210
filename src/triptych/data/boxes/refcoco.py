"""Referring expressions (Yu et al. 2016; Mao et al. 2016) from JSON, JSON lines or parquet. Pickles are not read.

Each record has a picture (`file_name`, or `image` with the name or the file's bytes), one or more expressions (`sentences`
with `sent` or `raw`, `expressions`, `answer`, `phrase` or `expression`), and a box (`bbox`) or the `ann_id` of one in COCO's
`instances.json`. Also used where they are there: `segmentation`, `width`, `height`, `split`, `ref_id`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from triptych.conversation import Conversation, Image, Region
from triptych.conversation.expression import Expression
from triptych.data.boxes.config import RefcocoConfig
from triptych.data.boxes.conversations import box_of, entries, found, frame_of, in_turns, picture, with_mask
from triptych.data.files import data_path, parse_json, read_text
from triptych.data.records import RecordFile, open_records
from triptych.errors import DataError

KIND = "referring"
TEXTS = ("sentences", "expressions", "answer", "phrase", "expression")
"""Keys that expressions are found under, the first that a record has."""


class RefcocoSource:
    """Conversations about one object each: its expressions, one after another.

    Args:
        path: The expressions.
        images: The folder of the pictures.
        config: What the recipe says.
        instances: COCO's instances, where expressions name boxes by `ann_id`.

    Raises:
        DataError: A file or the folder is missing, it is a pickle or of another form, or has no records.
    """

    def __init__(self, path: Path, images: Path, config: RefcocoConfig, instances: Path | None = None) -> None:
        if not images.is_dir():
            raise DataError(f"{images}: the images folder of {path} does not exist")
        self.path, self.images, self.config = path, images, config
        self._records = _records(path)
        self._annotations, self._pictures = _instances(instances) if instances is not None else ({}, {})
        self._places: list[tuple[int, int]] = []  # record, which of its turns
        for number in range(len(self._records)):
            self._places += [(number, part) for part in self._parts(number)]
            if config.limit is not None and len(self._places) >= config.limit:
                del self._places[config.limit :]
                break
        if not self._places:
            raise DataError(f"{path}: has no records of the split {config.split!r}")

    @classmethod
    def from_config(cls, config: RefcocoConfig, base: Path) -> RefcocoSource:
        """Open it; relative paths start from `base`. Raises DataError where the dataset as a whole is unusable."""
        instances = data_path(config.instances, base) if config.instances else None
        return cls(data_path(config.path, base), data_path(config.images, base), config, instances)

    def __len__(self) -> int:
        return len(self._places)

    def where(self, index: int) -> str:
        """File and line of a record."""
        return str(self._records.where(self._places[index][0]))

    def __getitem__(self, index: int) -> Conversation:
        """Conversation number `index`; DataError, with file and record, when it cannot be used."""
        number, part = self._places[index]
        record = self._records[number]
        try:
            texts = list(in_turns(_texts(record), self.config.turns))[part]
            image, region = self._object(record)
        except DataError as error:
            raise DataError(f"{self._records.where(number)}: {error}") from error
        name = record.get("ref_id", record.get("question_id", number))
        expressions = [Expression(text, (region,), KIND) for text in texts]
        facts = {key: record[key] for key in ("image_id", "split", "category_id") if key in record}
        return found(image, expressions, f"{number}:{name}/{part}", self.config, **facts)

    def _parts(self, number: int) -> Iterator[int]:
        """The turns of a record; one that cannot be read has one, which raises when it is asked for."""
        try:
            record = self._records[number]
            if self.config.split is not None and record.get("split") != self.config.split:
                return
            yield from range(-(-len(_texts(record)) // self.config.turns))
        except DataError:
            yield 0

    def _object(self, record: Mapping[str, Any]) -> tuple[Image, Region]:
        annotation: Mapping[str, Any] = record
        if record.get("bbox") is None:
            annotation = _entry(self._annotations, record.get("ann_id")) or {}
            if not annotation:
                raise DataError(
                    f"has no 'bbox', and its ann_id {record.get('ann_id')!r} is not among the `instances` of the recipe"
                )
        entry = _entry(self._pictures, annotation.get("image_id", record.get("image_id"))) or record
        image = self._image(record, entry)
        form = self.config.boxes if annotation is record else "xywh"
        region = box_of(annotation.get("bbox"), frame_of(entry, image), form)
        return image, with_mask(region, annotation.get("segmentation")) if self.config.masks else region

    def _image(self, record: Mapping[str, Any], entry: Mapping[str, Any]) -> Image:
        held = record.get("image")
        if isinstance(held, Mapping) and isinstance(held.get("bytes"), bytes):
            return Image(held["bytes"], name=str(record.get("file_name") or held.get("path") or ""))
        if entry is not record:  # COCO's own name: RefCOCO's `file_name` ends in the number of the annotation
            return picture(self.images, entry.get("file_name"))
        return picture(self.images, held if isinstance(held, str) else record.get("file_name"))


def _entry(table: Mapping[Any, dict[str, Any]], key: Any) -> dict[str, Any] | None:
    """What a table has under a key that a file gives, which may be anything."""
    return table.get(key) if isinstance(key, int | float | str) else None


def _texts(record: Mapping[str, Any]) -> list[str]:
    key = next((key for key in TEXTS if record.get(key)), None)
    held = record[key] if key else None
    items: Sequence[Any] = [held] if isinstance(held, str | Mapping) else held if isinstance(held, list) else []
    texts = [each.get("sent") or each.get("raw") if isinstance(each, Mapping) else each for each in items]
    found = [text.strip() for text in texts if isinstance(text, str) and text.strip()]
    if not found:
        raise DataError(f"has no expression under any of {', '.join(TEXTS)}")
    return list(dict.fromkeys(found))


def _records(path: Path) -> RecordFile:
    match path.suffix.lower():
        case ".p" | ".pkl" | ".pickle":
            raise DataError(
                f"{path}: is a pickle, which can run code when it is read, so it is not read here. Convert it once where you "
                "trust it: python -c \"import json, pickle; json.dump(pickle.load(open('refs(unc).p', 'rb'), encoding='latin1'), "
                "open('refs.json', 'w'))\", and name the JSON file as `path`, instances.json as `instances`"
            )
        case _:
            return open_records(path)


def _instances(path: Path) -> tuple[dict[Any, dict[str, Any]], dict[Any, dict[str, Any]]]:
    content = parse_json(read_text(path), path)
    lists = [content.get(key) if isinstance(content, dict) else None for key in ("annotations", "images")]
    if not all(isinstance(each, list) for each in lists):
        raise DataError(f"{path}: expected COCO's instances, an object with the lists 'annotations' and 'images'")
    annotations, images = (
        {e["id"]: e for e in entries(each or (), path, part, "id")}
        for part, each in zip(("annotations", "images"), lists, strict=True)
    )
    return annotations, images
