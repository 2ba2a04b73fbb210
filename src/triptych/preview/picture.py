"""A picture in the terminal (two pixels per character, the upper half block over its background), and in a file."""

from __future__ import annotations

import io
from pathlib import Path
from typing import TYPE_CHECKING

from rich.text import Text

from triptych.files import write_atomically

if TYPE_CHECKING:
    from PIL.Image import Image as PILImage


def as_blocks(picture: PILImage, columns: int) -> Text:
    """The picture as coloured characters, `columns` wide."""
    rows = max(2, round(columns * picture.height / picture.width / 2) * 2)
    small = picture.convert("RGB").resize((columns, rows))
    text = Text()
    for y in range(0, rows, 2):
        for x in range(columns):
            upper, lower = small.getpixel((x, y)), small.getpixel((x, y + 1))
            text.append("▀", style=f"{_hex(upper)} on {_hex(lower)}")
        text.append("\n")
    return text


def _hex(pixel: object) -> str:
    assert isinstance(pixel, tuple)
    red, green, blue = pixel
    return f"#{red:02x}{green:02x}{blue:02x}"


def save(picture: PILImage, path: Path) -> None:
    """Write a picture, whole or not at all; as PNG where the suffix names no other kind.

    Raises:
        FolderError: It cannot be written.
    """
    buffer = io.BytesIO()
    picture.save(buffer, {".jpg": "JPEG", ".jpeg": "JPEG", ".webp": "WEBP"}.get(path.suffix.lower(), "PNG"))
    write_atomically(path, buffer.getvalue())
