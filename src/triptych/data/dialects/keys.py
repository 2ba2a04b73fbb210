"""Which keys of records carry media or instructions, in the dialects in use. What cannot be read is refused by its key."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping
from typing import Any

from triptych.errors import DataError, quoted

_FORM = r"(?:_?(?:path|file|filename|name|url|uri|bytes|base64|b64|data)s?)?"
PICTURES = re.compile(rf"(?:image|img|picture|photo)s?{_FORM}(?:_?\d+)?", re.IGNORECASE)
"""Keys of pictures: image, images, image_path, image_url, image_1, …; not facts such as image_id or image_size."""

OTHER_MEDIA = re.compile(
    rf"(?:input_)?(?:video|audio|sound|speech|voice|point|point_cloud|motion)s?(?:_clip)?{_FORM}(?:_?\d+)?",
    re.IGNORECASE,
)
"""Keys of media that are not read yet."""

UNREAD: Mapping[str, str] = {
    "tools": "descriptions of tools",
    "functions": "descriptions of functions",
    "tool_calls": "calls of tools",
    "function_call": "calls of functions",
    "tool_call_id": "answers of tools",
    "chosen": "preferences (chosen, rejected)",
    "rejected": "preferences (chosen, rejected)",
    "history": "earlier turns beside the conversation (`history`)",
    "reasoning_content": "reasoning beside the answer",
    "reasoning": "reasoning beside the answer",
    "thinking": "reasoning beside the answer",
    "refusal": "refusals beside the answer",
}
"""Keys of records and turns that carry a part of what is said, and are not read."""


def is_empty(value: Any) -> bool:
    """Whether a key holds nothing: tables fill missing cells with null, NaN, empty text or an empty list."""
    if isinstance(value, float) and math.isnan(value):
        return True
    if isinstance(value, Mapping):
        return all(map(is_empty, value.values()))
    return value is None or (isinstance(value, str | bytes | list | tuple) and len(value) == 0)


def is_picture_key(key: object) -> bool:
    """Whether pictures are held under a key of this name."""
    return isinstance(key, str) and PICTURES.fullmatch(key) is not None


def picture_keys(record: Mapping[str, Any]) -> list[str]:
    """The keys under which a record has pictures, numbered ones in the order of their numbers."""
    found = [key for key, value in record.items() if is_picture_key(key) and not is_empty(value)]
    return sorted(found, key=_number)


def _number(key: str) -> int:
    match = re.search(r"\d+$", key)
    return int(match[0]) if match else 0


def refuse_unread(record: Mapping[str, Any], what: str = "") -> None:
    """Refuse what a record or a turn says under a key that is not read.

    Args:
        record: The record, or one of its turns.
        what: What messages call it; nothing for a record.

    Raises:
        DataError: With the key's name.
    """
    inside = f"{what} " if what else ""
    for key, value in record.items():
        if is_empty(value):
            continue
        if OTHER_MEDIA.fullmatch(str(key)) and not isinstance(value, bool | int | float):
            raise DataError(f"{inside}has {quoted(key)}; pictures are the only media that are read")
        if str(key) in UNREAD:
            raise DataError(f"{inside}has {quoted(key)}; {UNREAD[str(key)]} are not read")
        holds_bytes = isinstance(value, bytes) or (isinstance(value, Mapping) and isinstance(value.get("bytes"), bytes))
        if holds_bytes and not is_picture_key(key):
            raise DataError(f"{inside}has bytes under {quoted(key)}, which is no key of pictures; rename it to 'image'")


MEDIA_COLUMNS = ("image", "images", "video", "videos", "audio", "audios")


def refuse_media(record: Mapping[str, Any], instead: str) -> None:
    """Refuse the media of a record of which only a text is read; its other keys may be facts about that, addresses too.

    Raises:
        DataError: With the key's name and what to do instead.
    """
    for key in MEDIA_COLUMNS:
        if not is_empty(record.get(key)):
            raise DataError(f"has {key!r}, but this reader reads text only; {instead}")


def refuse_pictures(record: Mapping[str, Any], instead: str) -> None:
    """Refuse the pictures of a record whose reader reads text only.

    Raises:
        DataError: With the key's name and what to do instead.
    """
    if keys := picture_keys(record):
        raise DataError(f"has {quoted(keys[0])}, but this reader reads text only; {instead}")


NAMES: tuple[tuple[frozenset[str], str], ...] = (
    (frozenset({"instruction", "output"}), "Alpaca's instructions: use `kind: alpaca`"),
    (frozenset({"chosen", "rejected"}), "preferences (chosen, rejected), which are not read"),
    (frozenset({"prompt", "completion"}), "prompts with completions: write them as 'messages'"),
    (frozenset({"query", "response"}), "ms-swift's queries with responses: write them as 'messages'"),
    (frozenset({"question", "answer"}), "questions with answers: write them as 'messages'"),
    (frozenset({"parts"}), "an interleaved document: use `kind: interleaved`"),
    (frozenset({"text_list", "image_info"}), "MMC4's documents: use `kind: interleaved`"),
    (frozenset({"texts", "images"}), "OBELICS' documents: use `kind: interleaved`"),
    (frozenset({"file_name", "caption"}), "captions: use `kind: coco_captions`"),
    (frozenset({"text"}), "plain text: use `kind: text`"),
)
"""Dialects without turns, by the keys that tell them."""


def name_of(keys: Iterable[str]) -> str:
    """What a record without turns is, as far as its keys tell."""
    held = list(keys)
    for needed, name in NAMES:
        if needed <= set(held):
            return f"it looks like {name}"
    return f"its keys are {', '.join(quoted(key, 40) for key in held[:8]) or 'none'}"
