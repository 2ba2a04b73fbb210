"""Conversations in LLaVA's format (Liu et al. 2023, https://arxiv.org/abs/2304.08485), as JSON or JSON lines.

    {"id": "000000033471", "image": "coco/train2017/000000033471.jpg",
     "conversations": [{"from": "human", "value": "<image>\\nWhat is the bus painted with?"},
                       {"from": "gpt", "value": "An advertisement."}]}

`image` may be a list, or missing in a conversation without pictures. Other keys become annotations, but for those that mean
something else there (`RESERVED`).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from triptych.conversation import Conversation, Image, Message, Part, Role
from triptych.conversation.conversation import RESERVED
from triptych.data.files import Records, inside
from triptych.errors import DataError

MARKER = "<image>"
ROLES: Mapping[str, Role] = {
    "human": "user",
    "user": "user",
    "gpt": "assistant",
    "assistant": "assistant",
    "system": "system",
}
_SPOKEN = {"id", "image", "conversations"}  # what becomes of a record's conversation; the rest are facts about it
OTHER_MEDIA = ("video", "audio", "point")


class LlavaSource:
    """A file of conversations, each read when it is asked for.

    Args:
        path: A JSON list or JSON lines.
        images: The folder that the records' pictures are in; records cannot name anything outside of it.
        limit: Read only the first records, this many.

    Raises:
        DataError: The file or the folder is missing, the JSON is malformed, or there are no records.
    """

    def __init__(self, path: Path, images: Path, limit: int | None = None) -> None:
        self.records = Records(path, limit)
        if not images.is_dir():
            raise DataError(f"{images}: the images folder of {path} does not exist")
        self.images = images

    def __len__(self) -> int:
        return len(self.records)

    def where(self, index: int) -> str:
        """File and line of a record."""
        return self.records.where(range(len(self))[index])

    def __getitem__(self, index: int) -> Conversation:
        """Conversation number `index`, named `NUMBER:ID`; ids alone repeat in datasets in use.

        Raises:
            DataError: This record is malformed, or its pictures are missing, outside of the folder, or more or
                fewer than its markers.
        """
        record = self.records[range(len(self))[index]]
        try:
            return self._conversation(record, range(len(self))[index])
        except DataError as error:
            raise DataError(f"{self.records.where(index)} (id {record.get('id')!r}): {error}") from error

    def _conversation(self, record: Mapping[str, Any], index: int) -> Conversation:
        if found := [key for key in OTHER_MEDIA if key in record]:
            raise DataError(f"has {found[0]!r}; this reader knows pictures only")
        images = iter(pictures := [Image(inside(self.images, name)) for name in _image_names(record)])
        turns = record.get("conversations")
        if not isinstance(turns, list) or not turns:
            raise DataError("expected 'conversations', a list of {from, value} that is not empty")
        markers = sum(turn["value"].count(MARKER) for turn in turns if _is_turn(turn))
        if markers != len(pictures):
            raise DataError(f"has {markers} {MARKER} markers for {len(pictures)} images; expected one for each")
        messages = tuple(_message(turn, images) for turn in turns)
        facts = {key: value for key, value in record.items() if key not in _SPOKEN | RESERVED}
        return Conversation(messages, id=f"{index}:{record['id']}" if "id" in record else str(index), annotations=facts)


def _image_names(record: Mapping[str, Any]) -> Sequence[str]:
    match record.get("image"):
        case None:
            return ()
        case str(name):
            return (name,)
        case [*names] if all(isinstance(name, str) for name in names):
            return names
        case other:
            raise DataError(f"expected 'image' to be a path or a list of paths, got {other!r}")


def _is_turn(turn: Any) -> bool:
    return isinstance(turn, dict) and isinstance(turn.get("value"), str)


def _message(turn: Any, images: Iterator[Image]) -> Message:
    if not _is_turn(turn):
        raise DataError(f"expected a turn {{from: human | gpt | system, value: text}}, got {str(turn)[:80]!r}")
    role = ROLES.get(str(turn.get("from")))
    if role is None:
        raise DataError(f"nobody is called {turn.get('from')!r}; expected from: {', '.join(ROLES)}")
    parts = _parts(turn["value"], images)
    if not parts:
        raise DataError(f"the {role}'s message is empty")
    return Message(role, parts)


def _parts(value: str, images: Iterator[Image]) -> tuple[Part, ...]:
    """Text with an image in the place of each marker.

    Line breaks that set a marker apart at the start or the end of a message are LLaVA's template, not what was
    said, and are dropped; so is white space between two markers.
    """
    texts = value.split(MARKER)
    filled = [i for i, text in enumerate(texts) if text.strip()]
    parts: list[Part] = []
    for i, text in enumerate(texts):
        if i > 0:
            parts.append(next(images))
        if text.strip():
            if i == filled[0] and i > 0:
                text = text.lstrip("\n")
            if i == filled[-1] and i < len(texts) - 1:
                text = text.rstrip("\n")
            parts.append(text)
    return tuple(parts)
