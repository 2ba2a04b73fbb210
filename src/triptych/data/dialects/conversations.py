"""From a record of any dialect to messages: each picture where its marker or its part stands.

Markers are `<image>`, which take the pictures in order, or `<image 1>`, `<image_1>`, `<|image_1|>`, which name them by number.
LLaVA's `<im_start><image><im_end>` is a marker, too.
Every picture has one marker and every marker one picture: what is left over is refused, not guessed.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from triptych.conversation import Image, Message, Part
from triptych.data.dialects.keys import is_empty, is_picture_key, picture_keys, refuse_unread
from triptych.data.dialects.pictures import pictures_under
from triptych.data.dialects.turns import TURNS, Place, Turn, beside, turns_of
from triptych.errors import DataError, quoted

MARKER = "<image>"
_MARKER = re.compile(r"(?:<im_start>)?<image>(?:<im_end>)?|<image[ _](\d{1,3})>|<\|image_(\d{1,3})\|>")
_FOREIGN = re.compile(
    r"<img>[^<]{1,1000}</img>|<\|image_pad\|>|<\|vision_start\|>|<ImageHere>|<\|image\|>|<image_placeholder>"
)
"""Markers of one model's own template, which stand for pictures that no key names."""

SYSTEM = ("system", "system_prompt")
"""Keys of an instruction to the whole conversation."""


def messages_of(record: Mapping[str, Any], folder: Path) -> tuple[Message, ...]:
    """The messages of a record.

    Args:
        record: Of any dialect of `turns`.
        folder: Of the pictures.

    Raises:
        DataError: Something in it is not read, or its pictures are missing, outside of the folder, or more or fewer than
            its markers.
    """
    refuse_unread(record)
    turns, key = turns_of(record, folder)
    keys = picture_keys(record)
    held = [picture for name in _one_kind(record, keys) for picture in pictures_under(record[name], name, folder)]
    turns = [*_system(record, turns), *turns]
    if held and beside(turns):
        raise DataError(f"has pictures under {quoted(keys[0])} and inside its turns; expected them in one place")
    if key == "texts" and held:
        return _in_front(turns, held)
    pictures = _Pictures(held, keys)
    pictures.check(turns)
    return tuple(_message(turn, pictures) for turn in turns)


def used_keys(record: Mapping[str, Any]) -> set[str]:
    """The keys that become of the conversation; the rest are facts about it."""
    return {"id", "texts", *TURNS, *SYSTEM, *(key for key in record if is_picture_key(key))}


def _one_kind(record: Mapping[str, Any], keys: Sequence[str]) -> Sequence[str]:
    """The keys to read: numbered ones of one name, or one key; two that say the same are one.

    Raises:
        DataError: There are pictures under several names, and nothing says which are meant.
    """
    if len({re.sub(r"_?\d+$", "", key) for key in keys}) <= 1:
        return keys
    if all(record[key] == record[keys[0]] for key in keys):
        return keys[:1]
    raise DataError(f"has pictures under {' and '.join(quoted(key) for key in keys[:4])}; expected one of these keys")


def _system(record: Mapping[str, Any], turns: Sequence[Turn]) -> list[Turn]:
    """The turn that a key of its own holds."""
    told = {key: record[key] for key in SYSTEM if not is_empty(record.get(key))}
    if not told:
        return []
    key, text = next(iter(told.items()))
    if not isinstance(text, str) or any(other != text for other in told.values()):
        raise DataError(f"expected {key!r} to be one text, got {quoted(text)}")
    if turns[0].role == "system":
        if turns[0].content == (text,):
            return []
        raise DataError(f"has {key!r} and a system turn that says something else; expected one of them")
    return [Turn("system", (text,))] if text.strip() else []


class _Pictures:
    """The pictures beside a record's turns, handed out to markers and places."""

    def __init__(self, held: Sequence[Image], keys: Sequence[str]) -> None:
        self.held, self.keys = held, keys
        self._next = 0

    def check(self, turns: Sequence[Turn]) -> None:
        """Raises DataError where pictures and markers are not one for each other."""
        plain, numbers = 0, []
        for turn in turns:
            if turn.pictures:
                continue
            for part in turn.content:
                if isinstance(part, Place):
                    plain += 1
                elif isinstance(part, str):
                    if foreign := _FOREIGN.search(part):
                        raise DataError(
                            f"has {quoted(foreign[0], 40)}, a marker of one model's own template; write {MARKER}"
                        )
                    for match in _MARKER.finditer(part):
                        number = match[1] or match[2]
                        numbers += [int(number)] if number else []
                        plain += not number
        if plain and numbers:
            raise DataError(f"has {MARKER} markers and numbered ones; expected one kind")
        if numbers and sorted(numbers) != list(range(1, len(self.held) + 1)):
            raise DataError(
                f"has markers of the pictures {', '.join(map(str, numbers[:8]))} for {len(self.held)} images; expected each once"
            )
        if not numbers and plain != len(self.held):
            under = f" (under {', '.join(quoted(key) for key in self.keys[:4])})" if self.keys else ""
            raise DataError(f"has {plain} {MARKER} markers for {len(self.held)} images{under}; expected one for each")

    def take(self, number: str | None) -> Image:
        """The next picture, or the one of this number."""
        if number is not None:
            return self.held[int(number) - 1]
        self._next += 1
        return self.held[self._next - 1]


def _message(turn: Turn, pictures: _Pictures) -> Message:
    if turn.pictures:
        own = _Pictures(turn.pictures, ())
        if not any(
            isinstance(part, Place) or (isinstance(part, str) and _MARKER.search(part)) for part in turn.content
        ):
            turn = Turn(turn.role, (*(Place() for _ in turn.pictures), *turn.content), turn.supervised)
        else:
            turn = Turn(turn.role, turn.content, turn.supervised)
        own.check([turn])
        pictures = own
    parts: list[Part] = []
    for part in turn.content:
        if isinstance(part, str):
            parts += _split(part, pictures)
        else:
            parts.append(pictures.take(None) if isinstance(part, Place) else part)
    if not any(not isinstance(part, str) or part.strip() for part in parts):
        raise DataError(f"the {turn.role}'s message is empty")
    return Message(turn.role, tuple(parts), turn.supervised)


def _in_front(turns: Sequence[Turn], held: Sequence[Image]) -> tuple[Message, ...]:
    """Messages whose pictures all stand in front of what the user says first, as The Cauldron's do.

    Raises:
        DataError: There are markers, too, or nobody asks.
    """
    _Pictures((), ()).check(turns)
    first = next((place for place, turn in enumerate(turns) if turn.role == "user"), None)
    if first is None:
        raise DataError("has pictures and no user's turn that they could stand in front of")
    shown = [*turns]
    shown[first] = Turn("user", (*held, *turns[first].content))
    return tuple(_message(turn, _Pictures((), ())) for turn in shown)


def _split(value: str, pictures: _Pictures) -> Iterator[Part]:
    """Text with a picture in the place of each marker.

    Line breaks that set a marker apart at the start or the end of a message are LLaVA's template, not what was
    said, and are dropped; so is white space between two markers.
    """
    markers = list(_MARKER.finditer(value))
    ends = [0, *(match.end() for match in markers)]
    starts = [*(match.start() for match in markers), len(value)]
    texts = [value[end:start] for end, start in zip(ends, starts, strict=True)]
    filled = [i for i, text in enumerate(texts) if text.strip()]
    for i, text in enumerate(texts):
        if i > 0:
            yield pictures.take(markers[i - 1][1] or markers[i - 1][2])
        if text.strip():
            if i == filled[0] and i > 0:
                text = text.lstrip("\n")
            if i == filled[-1] and i < len(texts) - 1:
                text = text.rstrip("\n")
            yield text
