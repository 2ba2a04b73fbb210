"""Turns in the dialects in use, as roles with what is said.

    ShareGPT, LLaVA    {"conversations": [{"from": "human", "value": "…"}]}
    OpenAI             {"messages": [{"role": "user", "content": "…" or a list of parts}]}
                       a part of another modality than pictures: {"type": "numbers", "numbers": [1, 2, 3] or the name of a file}
    The Cauldron       {"texts": [{"user": "…", "assistant": "…"}]}

A key that marks a turn as learned or not (`weight`, `loss`, `train`) becomes `supervised`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from triptych.conversation import Image, Medium, Role
from triptych.conversation.modalities import medium_type, modalities
from triptych.data.dialects.keys import OTHER_MEDIA, is_empty, name_of, picture_keys, refuse_unread
from triptych.data.dialects.pictures import picture_of, pictures_under
from triptych.data.files import inside
from triptych.errors import DataError, quoted

TURNS = ("conversations", "messages", "conversation")
"""Keys of turns; `texts` with user and assistant is another."""

ROLES: Mapping[str, Role] = {
    "human": "user",
    "user": "user",
    "gpt": "assistant",
    "assistant": "assistant",
    "model": "assistant",
    "chatgpt": "assistant",
    "system": "system",
    "developer": "system",
}
TOOLS = ("tool", "function", "observation", "function_call", "function_response", "ipython", "tool_response")
"""Who speaks where tools are used, which is not read."""

WEIGHTS = ("weight", "loss", "train", "trainable", "supervised")
"""Keys of a turn that say whether it is learned."""

_TEXT = ("text", "input_text", "output_text")
_PICTURE = ("image", "image_url", "input_image")
_HOLDS = ("image_url", "image", "url", "path", "base64", "data", "source", "bytes", "file")
"""Keys of a part under which its picture is."""


@dataclass(frozen=True)
class Place:
    """A part that stands for the next of the record's pictures."""


@dataclass(frozen=True)
class Turn:
    """One turn of any dialect.

    Args:
        role: Who speaks.
        content: What is said: texts, in which markers may stand for pictures, media, and places of pictures.
        supervised: Whether it is learned, where it is the assistant's.
        pictures: That the turn itself holds beside its text.
    """

    role: Role
    content: tuple[str | Place | Medium, ...]
    supervised: bool = True
    pictures: tuple[Image, ...] = ()


def turns_of(record: Mapping[str, Any], folder: Path) -> tuple[list[Turn], str]:
    """The turns of a record, and the key that they were under.

    Args:
        record: Of any dialect.
        folder: Of the pictures.

    Raises:
        DataError: It has no turns, or one that is not read.
    """
    held = [key for key in TURNS if not is_empty(record.get(key))]
    if len(held) > 1:
        raise DataError(f"has both {held[0]!r} and {held[1]!r}; expected the turns under one key")
    if not held and _is_cauldron(record.get("texts")):
        return [turn for pair in record["texts"] for turn in _cauldron(pair)], "texts"
    key = next((key for key in TURNS if key in record), None) if not held else held[0]
    if key is None:
        raise DataError(f"expected 'conversations', a list of {{from, value}}, or 'messages'; {name_of(record)}")
    turns = record[key]
    if not isinstance(turns, list) or not turns:
        raise DataError(f"expected {key!r}, a list of {{from, value}} or {{role, content}} that is not empty")
    return [_turn(turn, folder) for turn in turns], key


def _is_cauldron(texts: Any) -> bool:
    return isinstance(texts, list) and bool(texts) and all(isinstance(t, Mapping) and "user" in t for t in texts)


def _cauldron(pair: Mapping[str, Any]) -> Iterator[Turn]:
    for key in ("user", "assistant"):
        if not isinstance(pair.get(key), str):
            raise DataError(f"expected 'texts' of {{user: text, assistant: text}}, got {quoted(dict(pair))}")
        yield Turn(ROLES[key], (pair[key],))


def _turn(turn: Any, folder: Path) -> Turn:
    if not isinstance(turn, Mapping):
        raise DataError(f"expected a turn {{from: human | gpt | system, value: text}}, got {quoted(turn)}")
    role = _role(turn)
    refuse_unread(turn, f"the {role}'s turn")
    content = _content(turn, role, folder)
    own = [picture for key in picture_keys(turn) for picture in pictures_under(turn[key], key, folder)]
    return Turn(role, content, _supervised(turn, role), tuple(own))


def _role(turn: Mapping[str, Any]) -> Role:
    named = [turn[key] for key in ("from", "role") if not is_empty(turn.get(key))]
    if not named:
        raise DataError(f"expected a turn {{from, value}} or {{role, content}}, got {quoted(dict(turn))}")
    if str(named[0]) in TOOLS:
        raise DataError(f"has a turn of {quoted(named[0])}; the use of tools is not read")
    role = ROLES.get(str(named[0]))
    if role is None:
        raise DataError(f"nobody is called {quoted(named[0])}; expected from: {', '.join(ROLES)}")
    if len(named) == 2 and ROLES.get(str(named[1])) != role:
        raise DataError(f"a turn is from {quoted(named[0])} and has the role {quoted(named[1])}; expected one of them")
    return role


def _content(turn: Mapping[str, Any], role: Role, folder: Path) -> tuple[str | Place | Medium, ...]:
    held = [key for key in ("value", "content") if turn.get(key) is not None]
    if len(held) == 2:
        raise DataError(f"the {role}'s turn has 'value' and 'content'; expected one of them")
    said = turn[held[0]] if held else None
    if isinstance(said, str):
        return (said,)
    if isinstance(said, list):
        return tuple(_part(part, folder) for part in said)
    if said is None and any(key in turn for key in ("value", "content")):
        return ()
    raise DataError(
        f"expected a turn {{from, value: text}} or {{role, content: text or parts}}, got {quoted(dict(turn))}"
    )


def _part(part: Any, folder: Path) -> str | Place | Medium:
    """A part of a message in OpenAI's form, or in those of transformers, Qwen and Anthropic."""
    if isinstance(part, str):
        return part
    if not isinstance(part, Mapping):
        raise DataError(
            f"expected a part {{type: text, text}} or {{type: image_url, image_url: {{url}}}}, got {quoted(part)}"
        )
    kind = part.get("type")
    if isinstance(kind, str) and kind not in (*_TEXT, *_PICTURE) and kind in modalities():
        return _medium(part, kind, folder)
    refuse_unread({key: value for key, value in part.items() if key != "type"}, "a part")
    if kind is None:  # Qwen's [{"image": "a.png"}, {"text": "…"}]
        kind = "text" if isinstance(part.get("text"), str) else "image" if picture_keys(part) else None
    if kind in _TEXT:
        if not isinstance(part.get("text"), str):
            raise DataError(f"expected a part of type {kind!r} to hold 'text', got {quoted(dict(part))}")
        if keys := picture_keys(part):
            raise DataError(f"a part of type {kind!r} has {quoted(keys[0])}, too; expected a part of its own")
        return str(part["text"])
    if kind in _PICTURE:
        if not is_empty(part.get("text")):
            raise DataError(f"a part of type {kind!r} has 'text', too; expected a part of its own")
        return _shown(part, folder)
    if isinstance(kind, str) and OTHER_MEDIA.fullmatch(kind):
        raise DataError(
            f"has a part of type {quoted(kind)}, but no recipe or package here has a class for its media; read are "
            f"{', '.join(modalities())}"
        )
    read = dict.fromkeys((*_TEXT, *_PICTURE, *modalities()))
    raise DataError(f"has a part of type {quoted(kind)}, which is not read; expected {', '.join(read)}")


def _shown(part: Mapping[str, Any], folder: Path) -> Image | Place:
    held = [key for key in _HOLDS if not is_empty(part.get(key))]
    if not held:
        if not is_empty(part.get("file_id")):
            raise DataError("a part has 'file_id', a file of a service; expected a file, a data: URI or bytes")
        return Place()
    if len(held) > 1:
        raise DataError(f"a part has {held[0]!r} and {held[1]!r}; expected one picture in each part")
    value = part[held[0]]
    if held[0] in ("base64", "data"):
        value = {held[0]: value}
    return picture_of(value, held[0], folder)


def _medium(part: Mapping[str, Any], modality: str, folder: Path) -> Medium:
    """A part `{type: modality, modality: value}` of another modality than pictures, or `{type: modality, path: name}`."""
    held = [key for key in (modality, "path") if not is_empty(part.get(key))]
    if len(held) != 1:
        raise DataError(
            f"expected a part of type {modality!r} to hold its value under {modality!r}, or the name of its file under "
            f"'path', got {quoted(dict(part))}"
        )
    value, media = part[held[0]], medium_type(modality)
    return media.from_file(inside(folder, value)) if isinstance(value, str) else media.from_value(value)


def _supervised(turn: Mapping[str, Any], role: Role) -> bool:
    told = {key: turn[key] for key in WEIGHTS if not is_empty(turn.get(key))}
    for key, value in told.items():
        if not isinstance(value, bool | int | float) or value not in (0, 1):
            raise DataError(
                f"the {role}'s turn has {key!r} {quoted(value)}; a turn is learned (1, true) or not (0, false)"
            )
        if value and role != "assistant":
            raise DataError(f"the {role}'s turn has {key!r} {quoted(value)}; only the assistant's turns are learned")
    if len(set(map(bool, told.values()))) > 1:
        raise DataError(f"the {role}'s turn has {' and '.join(map(repr, told))}, which contradict each other")
    return all(told.values())


def beside(turns: Sequence[Turn]) -> bool:
    """Whether turns hold pictures of their own, so that none is beside them."""
    return any(turn.pictures or any(isinstance(part, Image) for part in turn.content) for turn in turns)
