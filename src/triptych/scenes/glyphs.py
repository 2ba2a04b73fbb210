"""Glyphs of a colour font as small pictures: drawn once per character and size, then only pasted."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from math import ceil, log2
from pathlib import Path
from typing import TYPE_CHECKING

from triptych.errors import DataError

if TYPE_CHECKING:
    from PIL.Image import Image as PILImage
    from PIL.ImageFont import FreeTypeFont

OPAQUE = 128
"""Alpha from which a pixel belongs to the mask of a glyph (of 0 … 255)."""


@dataclass(frozen=True, slots=True)
class Glyph:
    """A glyph at one size: RGBA pixels, and the tight box of its opaque ones in pixels of that picture."""

    pixels: PILImage
    box: tuple[int, int, int, int]


@dataclass(frozen=True, slots=True)
class Glyphs:
    """The glyphs of one font file. Equal and picklable by path; the drawings are shared by the whole process."""

    font: Path

    def at(self, character: str, length: int) -> Glyph:
        """A character, reduced so that the longer side of its drawing is `length` pixels.

        Raises:
            DataError: The font cannot be read, or has no such glyph.
        """
        return _glyph(str(self.font), character, length)


@lru_cache(maxsize=8)
def _font(path: str, em: int) -> FreeTypeFont:
    from PIL import ImageFont

    try:
        return ImageFont.truetype(path, em, layout_engine=ImageFont.Layout.BASIC)
    except OSError as error:
        raise DataError(f"{path}: not a readable font ({error})") from error


@lru_cache(maxsize=8)
def _missing(path: str, em: int) -> bytes:
    """The font's sign for glyphs that it lacks: what it draws for a character that cannot exist."""
    return bytes(_font(path, em).getmask("\uffff"))


@lru_cache(maxsize=512)
def _master(path: str, character: str, em: int) -> PILImage:
    """A character at a font size of `em` pixels, cropped to its ink: what smaller sizes are reduced from."""
    from PIL import Image, ImageDraw

    font = _font(path, em)
    # Twice the font size: a glyph's ink may reach beyond its advance and above its ascent.
    canvas = Image.new("RGBA", (2 * em, 2 * em), (0, 0, 0, 0))
    ImageDraw.Draw(canvas).text((em, em), character, font=font, embedded_color=True, anchor="mm")
    box = canvas.getchannel("A").getbbox()
    if box is None or bytes(font.getmask(character)) == _missing(path, em):
        raise DataError(f"{path}: the font has no glyph for {character!r} (U+{ord(character[0]):04X})")
    return canvas.crop(box)


@lru_cache(maxsize=4096)
def _glyph(path: str, character: str, length: int) -> Glyph:
    from PIL import Image

    # A power of two, so that the few lengths of one picture size share one drawing, and never an enlargement.
    master = _master(path, character, 1 << max(6, ceil(log2(1.5 * length))))
    scale = length / max(master.size)
    width, height = (max(1, round(side * scale)) for side in master.size)
    pixels = master.resize((width, height), Image.Resampling.LANCZOS)
    opaque = pixels.getchannel("A").point(lambda alpha: 255 if alpha >= OPAQUE else 0)
    box = opaque.getbbox()
    if box is None:
        raise DataError(f"{path}: {character!r} vanishes at {length} pixels; make the scene larger")
    return Glyph(pixels, box)
