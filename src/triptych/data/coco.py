"""Captions in COCO's format (Chen et al. 2015, https://arxiv.org/abs/1504.00325; https://cocodataset.org/#format-data).

    {"images": [{"id": 1, "file_name": "a.jpg"}], "annotations": [{"id": 7, "image_id": 1, "caption": "A dog."}]}

Everything else in the file is left unread.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, TypeAlias

from triptych.conversation import Conversation, Image, Message, assistant, user
from triptych.conversation.unicode import check_unicode
from triptych.data.config import CocoCaptionsConfig
from triptych.data.files import data_path, inside, parse_json, read_text
from triptych.data.phrases import content_words
from triptych.errors import DataError

Captions: TypeAlias = Literal["one_per_record", "all", "first"]


@dataclass
class _Picture:
    """One entry of `images` with everything that `annotations` says about it."""

    id: Any
    file_name: str
    captions: list[str] = field(default_factory=list)
    faults: list[str] = field(default_factory=list)


class CocoCaptionsSource:
    """Conversations about captioned pictures, in the order of the file's `images`.

    Every entry that cannot be used (an empty caption, a picture without captions, a caption of an unknown picture)
    is a record of its own that raises DataError, so that the ledger counts it; the other captions of that picture
    stay in use. `annotations["references"]` holds all captions of the picture, `annotations["image_id"]` its id.

    Args:
        annotations: The JSON file.
        images: The folder of the pictures; `file_name`s cannot name anything outside of it.
        prompts: Ways of asking; which one a picture is asked with depends on its id alone.
        captions: `one_per_record`: each caption is a conversation, named `IMAGE/NUMBER`. `all`: one conversation
            for each picture, in which one caption after another is asked for, each time in the next of the ways.
            `first`: one conversation for each picture, with its first caption.
        limit: Read only the first pictures, this many.

    Raises:
        DataError: The file or the folder is missing, the JSON is malformed or of another form, there are no
            captions, or an id is given to two pictures.
    """

    def __init__(
        self,
        annotations: Path,
        images: Path,
        *,
        prompts: Sequence[str],
        captions: Captions = "one_per_record",
        limit: int | None = None,
    ) -> None:
        if not images.is_dir():
            raise DataError(f"{images}: the images folder of {annotations} does not exist")
        self.annotations, self.images, self.prompts = annotations, images, tuple(prompts)
        pictures = _pictures(parse_json(read_text(annotations), annotations), annotations)
        self._records: list[tuple[_Picture, tuple[int, ...] | str]] = [
            (picture, part) for picture in pictures[:limit] for part in _records_of(picture, captions)
        ]

    @classmethod
    def from_config(cls, config: CocoCaptionsConfig, base: Path) -> CocoCaptionsSource:
        """Open it; relative paths start from `base`. Raises DataError where the dataset as a whole is unusable."""
        return cls(
            data_path(config.annotations, base),
            data_path(config.images, base),
            prompts=config.prompts,
            captions=config.captions,
            limit=config.limit,
        )

    def __len__(self) -> int:
        return len(self._records)

    def where(self, index: int) -> str:
        """File and picture of a record."""
        return f"{self.annotations}: image {self._records[index][0].id!r}"

    def __getitem__(self, index: int) -> Conversation:
        """Conversation number `index`; DataError when that record cannot be used."""
        picture, chosen = self._records[index]
        where = self.where(index)
        if isinstance(chosen, str):
            raise DataError(f"{where}: {chosen}")
        try:
            image = Image(inside(self.images, picture.file_name))
        except DataError as error:
            raise DataError(f"{where}: {error}") from error
        messages: list[Message] = []
        for number in chosen:
            question = self.prompts[(_spread(picture.id) + number) % len(self.prompts)]
            messages.append(user(question) if messages else user(image, question))
            messages.append(assistant(picture.captions[number]))
        return Conversation(
            tuple(messages),
            id=f"{picture.id}/{chosen[0]}" if len(chosen) == 1 else str(picture.id),
            annotations={
                "image_id": picture.id,
                "references": tuple(picture.captions),
                "phrases": content_words(picture.captions[number] for number in chosen),
            },
        )


def _records_of(picture: _Picture, captions: Captions) -> list[tuple[int, ...] | str]:
    """The records a picture gives: the numbers of the captions in each, or what is wrong."""
    numbers = range(len(picture.captions))
    match captions:
        case "one_per_record":
            good: list[tuple[int, ...]] = [(number,) for number in numbers]
        case "all":
            good = [tuple(numbers)] if numbers else []
        case "first":
            good = [(0,)] if numbers else []
    return [*good, *picture.faults]


def _spread(image_id: Any) -> int:
    """A number that depends on the id alone, and is spread evenly even where ids share a step."""
    return int.from_bytes(hashlib.blake2b(str(image_id).encode(), digest_size=4).digest())


def _pictures(content: Any, path: Path) -> list[_Picture]:
    """The entries of `images` with their captions, then entries for annotations that belong to none."""
    images, annotations = (content.get(key) if isinstance(content, dict) else None for key in ("images", "annotations"))
    if not isinstance(images, list) or not isinstance(annotations, list):
        raise DataError(f"{path}: expected COCO's format, an object with the lists 'images' and 'annotations'")
    if not images:
        raise DataError(f"{path}: 'images' is empty")
    if not any(isinstance(annotation, dict) and "caption" in annotation for annotation in annotations):
        raise DataError(
            f"{path}: none of its {len(annotations):,} annotations is a caption; COCO's captions are in captions_*.json"
        )
    pictures: dict[str, _Picture] = {}
    strays: list[_Picture] = []
    for number, entry in enumerate(images):
        if not (isinstance(entry, dict) and _is_id(entry.get("id")) and isinstance(entry.get("file_name"), str)):
            strays.append(_Picture(None, "", faults=[f"images[{number}] has no id or no file_name: {str(entry)[:80]}"]))
        elif (key := repr(entry["id"])) in pictures:
            raise DataError(f"{path}: images[{number}] has the id {key} of an earlier picture")
        else:
            pictures[key] = _Picture(entry["id"], entry["file_name"])
    for number, annotation in enumerate(annotations):
        image_id = annotation.get("image_id") if isinstance(annotation, dict) else None
        picture = pictures.get(repr(image_id))
        if picture is None:
            strays.append(_Picture(image_id, "", faults=[f"annotations[{number}] belongs to no entry of 'images'"]))
        elif not isinstance(caption := annotation.get("caption"), str) or not caption.strip():
            picture.faults.append(f"annotations[{number}] (id {annotation.get('id')!r}) is a caption without text")
        elif fault := _no_unicode(caption):
            picture.faults.append(f"annotations[{number}]: {fault}")
        else:
            picture.captions.append(caption.strip())
    for picture in pictures.values():
        if not picture.captions and not picture.faults:
            picture.faults.append(f"{picture.file_name} has no caption")
    return [*pictures.values(), *strays]


def _no_unicode(caption: str) -> str:
    """What is wrong with a caption that is no Unicode; nothing where it is."""
    try:
        check_unicode(caption, "the caption")
    except DataError as error:
        return str(error)
    return ""


def _is_id(value: Any) -> bool:
    return isinstance(value, int | str)
