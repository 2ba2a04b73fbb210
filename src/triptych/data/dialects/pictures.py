"""From what a record holds under a key of pictures to `Image`s: names in a folder, `data:` URIs, base64, bytes."""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from triptych.conversation import Image
from triptych.data.dialects.keys import is_empty
from triptych.data.files import inside
from triptych.errors import DataError, excerpt, quoted

_DATA = re.compile(r"data:([^,;]*)((?:;[^,;]*)*),", re.IGNORECASE)
_REMOTE = re.compile(r"[a-z][a-z0-9+.-]*://", re.IGNORECASE)
_ENCODED = ("iVBORw0KGgo", "/9j/", "R0lGOD", "UklGR", "Qk0")
"""How base64 of PNG, JPEG, GIF, WebP and BMP begins."""

_SHORTEST = 60  # characters of base64 that the smallest picture takes; what is shorter is a name


def pictures_under(value: Any, key: str, folder: Path) -> list[Image]:
    """The pictures that a record holds under a key: one, a list of them, or none.

    Args:
        value: A name, a `data:` URI, base64, bytes, `{bytes, path}`, `{url}`, or a list of these.
        key: For messages.
        folder: Where names are looked up; nothing outside of it can be named.

    Raises:
        DataError: A value is none of these, or a picture is not in the folder.
    """
    if is_empty(value):
        return []
    if isinstance(value, list | tuple):
        if any(is_empty(each) or isinstance(each, list | tuple) for each in value):
            raise DataError(f"expected {key!r} to be a path or a list of paths, got {quoted(value)}")
        return [picture_of(each, key, folder) for each in value]
    return [picture_of(value, key, folder)]


def picture_of(value: Any, key: str, folder: Path) -> Image:
    """One picture.

    Raises:
        DataError: As `pictures_under`.
    """
    match value:
        case str():
            return _of_text(value, key, folder)
        case bytes():
            return Image(value, name=f"the picture in {key!r}")
        case Mapping():
            return _of_mapping(value, key, folder)
        case _:
            raise DataError(f"expected {key!r} to be a path or a list of paths, got {quoted(value)}")


def _of_mapping(value: Mapping[Any, Any], key: str, folder: Path) -> Image:
    held = {str(name): part for name, part in value.items() if not is_empty(part)}
    name = held.get("path")
    if isinstance(data := held.get("bytes"), bytes):
        return Image(data, name=excerpt(name) if isinstance(name, str) else f"the picture in {key!r}")
    for form in ("bytes", "base64", "data", "b64_json"):
        if isinstance(text := held.get(form), str):
            return Image(
                _decoded(text.partition(",")[2] if _DATA.match(text) else text, key), name=f"the picture in {key!r}"
            )
    for form in ("url", "path", "file_name", "image", "image_url"):
        if isinstance(text := held.get(form), str):
            return _of_text(text, key, folder)
    raise DataError(f"expected {key!r} to hold {{bytes, path}} or {{url}}, got {quoted(value)}")


def _of_text(text: str, key: str, folder: Path) -> Image:
    if match := _DATA.match(text):
        kind, options = match[1].lower(), match[2].lower()
        if kind and not kind.startswith("image/"):
            raise DataError(f"{key!r} is a data: URI of {excerpt(kind, 40)}; pictures are the only media that are read")
        if ";base64" not in options:
            raise DataError(f"{key!r} is a data: URI without base64: {quoted(text, 40)}")
        return Image(_decoded(text[match.end() :], key), name=f"the picture in {key!r}")
    if text.lower().startswith("file://"):
        return Image(inside(folder, text[len("file://") :]))
    if _REMOTE.match(text):
        raise DataError(f"{key!r} is the address {quoted(text)}; pictures are not downloaded: name a file of {folder}")
    if len(text) >= _SHORTEST and text.startswith(_ENCODED):
        return Image(_decoded(text, key), name=f"the picture in {key!r}")
    return Image(inside(folder, text))


def _decoded(text: str, key: str) -> bytes:
    if len(text) > Image.limits.encoded * 4 // 3 + 4:
        allowed = f"{Image.limits.encoded:,} bytes allowed"
        raise DataError(f"{key!r}: {len(text):,} characters of base64 are more than the {allowed}")
    try:
        return base64.b64decode("".join(text.split()), validate=True)
    except (binascii.Error, ValueError) as error:
        raise DataError(f"{key!r} is no base64 ({error}): {quoted(text, 40)}") from None
