"""Documents with pictures between their words, as JSON lines (or a JSON list), in one of three forms:

    {"parts": [{"text": "A dog: "}, {"image": "dog.jpg"}, {"text": " And a cat: "}, {"image": "cat.jpg"}]}
    {"texts": ["A dog:", null, "And a cat:", null], "images": [null, "dog.jpg", null, "cat.jpg"]}             (OBELICS)
    {"text_list": ["A dog.", "A cat."], "image_info": [{"image_name": "cat.jpg", "matched_text_index": 1}]}    (MMC4)

OBELICS: Laurençon et al. 2023, https://arxiv.org/abs/2306.16527; two lists of one length, of which at each place one is
null. MMC4: Zhu et al. 2023, https://arxiv.org/abs/2304.06939; a picture stands in front of the sentence it belongs to.
Both datasets are published with addresses of pictures; here pictures are files of the images folder.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from triptych.conversation import Conversation, Image, Message, Part, document
from triptych.data.config import InterleavedConfig
from triptych.data.dialects.keys import refuse_unread
from triptych.data.files import data_path, inside
from triptych.data.records import open_records
from triptych.errors import DataError, quoted

FORMS = "'parts', 'texts' and 'images', or 'text_list' and 'image_info'"


class InterleavedSource:
    """Documents with pictures, each read when it is asked for; all of their text is supervised.

    A document's messages are its stretches: one or more pictures with the text that follows them. What is too long
    loses whole stretches, or is refused.

    Args:
        path: JSON lines or a JSON list.
        images: The folder that the pictures are in; records cannot name anything outside of it.
        limit: Read only the first documents, this many.

    Raises:
        DataError: The file or the folder is missing, the JSON is malformed, or there are no records.
    """

    def __init__(self, path: Path, images: Path, limit: int | None = None) -> None:
        self.records = open_records(path, limit)
        if not images.is_dir():
            raise DataError(f"{images}: the images folder of {path} does not exist")
        self.images = images

    @classmethod
    def from_config(cls, config: InterleavedConfig, base: Path) -> InterleavedSource:
        """Open it; relative paths start from `base`. Raises DataError where the dataset as a whole is unusable."""
        path = data_path(config.path, base)
        return cls(path, data_path(config.images, base) if config.images else path.parent, config.limit)

    def __len__(self) -> int:
        return len(self.records)

    def where(self, index: int) -> str:
        """File and line of a record."""
        return self.records.where(range(len(self))[index])

    def __getitem__(self, index: int) -> Conversation:
        """Document number `index`; DataError, with file and line, when it is malformed or a picture is missing."""
        index = range(len(self))[index]
        record = self.records[index]
        try:
            messages = stretches(self._parts(record))
        except DataError as error:
            raise DataError(f"{self.records.where(index)}: {error}") from error
        return Conversation(messages, id=f"{index}:{record['id']}" if "id" in record else str(index))

    def _parts(self, record: Mapping[str, Any]) -> list[Part]:
        refuse_unread(record)
        if "parts" in record:
            parts = [self._part(part) for part in _list(record, "parts")]
        elif "text_list" in record:
            parts = self._mmc4(record)
        elif "texts" in record:
            parts = self._obelics(record)
        else:
            raise DataError(f"expected {FORMS}; got {', '.join(map(repr, record)) or 'an empty object'}")
        if not any(isinstance(part, str) and part.strip() for part in parts):
            raise DataError("the document has no text")
        return parts

    def _part(self, part: Any) -> Part:
        match part:
            case {"text": str(text), **rest} if not rest.get("image"):
                return text
            case {"image": str(name), **rest} if not rest.get("text"):
                return self._image(name)
            case _:
                raise DataError(f"expected a part {{text: …}} or {{image: path}}, got {quoted(part, 80)}")

    def _obelics(self, record: Mapping[str, Any]) -> list[Part]:
        texts, names = _list(record, "texts"), _list(record, "images")
        if len(texts) != len(names):
            raise DataError(f"has {len(texts)} 'texts' and {len(names)} 'images'; expected lists of one length")
        parts: list[Part] = []
        for place, (text, name) in enumerate(zip(texts, names, strict=True)):
            match text, name:
                case None, str():
                    parts.append(self._image(name))
                case str(), None:
                    parts.append(f"\n\n{text}" if parts and isinstance(parts[-1], str) else text)
                case _:
                    raise DataError(
                        f"place {place}: expected a text or an image, the other null; "
                        f"got {quoted(text, 40)} and {quoted(name, 40)}"
                    )
        return parts

    def _mmc4(self, record: Mapping[str, Any]) -> list[Part]:
        texts = _list(record, "text_list")
        before: dict[int, list[Image]] = defaultdict(list)
        for info in _list(record, "image_info"):
            match info:
                case {"image_name": str(name), "matched_text_index": int(place)} if 0 <= place < len(texts):
                    before[place].append(self._image(name))
                case _:
                    raise DataError(
                        "expected 'image_info' of {image_name: path, matched_text_index: place in 'text_list'}, "
                        f"got {quoted(info, 80)}"
                    )
        parts: list[Part] = []
        for place, text in enumerate(texts):
            if not isinstance(text, str):
                raise DataError(f"expected 'text_list' to hold texts, got {quoted(text, 80)}")
            parts += before[place]
            parts.append(f" {text}" if parts else text)
        return parts

    def _image(self, name: str) -> Image:
        return Image(inside(self.images, name))


def stretches(parts: Iterable[Part]) -> tuple[Message, ...]:
    """The parts as document messages, each beginning with the pictures that its text follows."""
    groups: list[list[Part]] = []
    for part in parts:
        if part == "":
            continue
        if not groups or (not isinstance(part, str) and isinstance(groups[-1][-1], str)):
            groups.append([])
        groups[-1].append(part)
    return tuple(document(*group) for group in groups)


def _list(record: Mapping[str, Any], key: str) -> Sequence[Any]:
    value = record.get(key)
    if not isinstance(value, list):
        raise DataError(f"expected {key!r} to be a list, got {quoted(value, 80)}")
    return value
