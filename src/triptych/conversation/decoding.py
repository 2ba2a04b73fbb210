"""Encoded pictures, opened safely, and pictures of any mode as the RGB that people see.

    bytes ──allow-list of formats──► header ──bounds on pixels and sides──► pixels ──upright──► RGB on a background

Rules, for what formats leave open:
    animations            the first frame
    transparency          composited on a background, white unless the caller says otherwise
    16-bit greys          65,535 is white (modes I;16)
    32-bit integers (I)   the same; a value outside of 0–65,535 is refused, because nobody says what white is
    floats (F)            1.0 is white; a value outside of 0–1 is refused for the same reason
    CMYK, YCbCr, HSV      Pillow's conversion; LAB by its colour profile
"""

from __future__ import annotations

import io
import warnings
from typing import TYPE_CHECKING, TypeAlias

from triptych.errors import DataError, excerpt

if TYPE_CHECKING:
    from PIL.Image import Image as PILImage

FORMATS = ("JPEG", "MPO", "PNG", "WEBP", "GIF", "BMP", "TIFF", "PPM", "JPEG2000", "AVIF")
"""What is decoded. Pillow knows more, and starts Ghostscript, a program, for a PostScript file of any name."""

MAX_PIXELS = 64_000_000
"""Pictures with more pixels than this are refused: far above any camera, far below a decompression bomb."""

MAX_RATIO = 200
"""Pictures whose longer side is more than so many times the shorter are refused: no encoder sees anything in such strips,
and keeping their shape would take a canvas as long as the strip."""

Colour: TypeAlias = tuple[int, int, int]
"""RGB, 0–255."""

WHITE: Colour = (255, 255, 255)

_ORIENTATION = 0x0112  # EXIF's key

SIDEWAYS = (5, 6, 7, 8)
"""EXIF's orientations of pictures that are stored lying on a side."""


def opened(data: bytes, name: str) -> PILImage:
    """A picture as Pillow opens it: its header is read, its pixels are neither decoded nor upright.

    Args:
        data: The encoded picture.
        name: What messages call it.

    Raises:
        DataError: It is in none of `FORMATS`, damaged, or beyond `MAX_PIXELS` or `MAX_RATIO`.
    """
    from PIL import Image as Pillow
    from PIL import UnidentifiedImageError

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # warnings about damaged metadata: what cannot be decoded raises
            picture = Pillow.open(io.BytesIO(data), formats=_known_formats())
    except UnidentifiedImageError as error:
        raise DataError(f"{name}: not a readable picture of a known format ({', '.join(FORMATS)})") from error
    except Exception as error:  # Pillow raises many kinds, SyntaxError and struct.error among them
        raise unreadable(name, error) from error
    check_size(*picture.size, name)
    return picture


def _known_formats() -> list[str]:
    """Those of `FORMATS` that this build of Pillow has."""
    from PIL import Image as Pillow

    Pillow.init()
    return [name for name in FORMATS if name in Pillow.OPEN]


def check_size(width: int, height: int, name: str) -> None:
    """Raises DataError where a picture of this size must not be decoded."""
    if width < 1 or height < 1:
        raise DataError(f"{name}: a picture of {width} × {height} pixels has nothing to see")
    if width * height > MAX_PIXELS:
        raise DataError(f"{name}: {width} × {height} pixels is more than the {MAX_PIXELS:,} allowed; resize it first")
    if max(width, height) > MAX_RATIO * min(width, height):
        raise DataError(
            f"{name}: {width} × {height} pixels: one side is more than {MAX_RATIO} times the other; cut it into pieces"
        )


def unreadable(name: str, error: Exception) -> DataError:
    """What is said of a picture that Pillow, or the rules of this module, do not read."""
    return DataError(f"{name}: not a readable picture ({excerpt(str(error), 200) or type(error).__name__})")


def orientation(picture: PILImage) -> int:
    """EXIF's orientation, from 1 (stored as it is seen) to 8."""
    value = picture.getexif().get(_ORIENTATION, 1)
    return value if isinstance(value, int) and 1 <= value <= 8 else 1


def is_transparent(picture: PILImage) -> bool:
    """Whether some of the pixels may be transparent, by the picture's mode and header."""
    palette = picture.palette.mode if picture.mode == "P" and picture.palette is not None else ""
    return picture.mode in ("RGBA", "RGBa", "LA", "La", "PA") or palette.endswith("A") or "transparency" in picture.info


def is_scaled(picture: PILImage) -> bool:
    """Whether the picture's values have more than 8 bits and the rules above scale them (other than 16-bit greys)."""
    return picture.mode in ("I", "F")


def upright_rgba(picture: PILImage) -> PILImage:
    """A transparent picture as it is stored, upright, RGBA: what is hidden is still there."""
    from PIL import ImageOps

    return _with_alpha(ImageOps.exif_transpose(picture))


def upright_rgb(picture: PILImage, background: Colour = WHITE) -> PILImage:
    """A picture as it is meant to be seen: upright, RGB, by the rules of this module.

    Raises:
        ValueError: Its values are outside of the range that its mode has here.
    """
    from PIL import Image as Pillow
    from PIL import ImageOps

    picture = ImageOps.exif_transpose(picture)
    if not is_transparent(picture):
        return _opaque(picture)
    seen = _with_alpha(picture)
    canvas = Pillow.new("RGB", seen.size, background)
    canvas.paste(seen.convert("RGB"), mask=seen.getchannel("A"))
    return canvas


def _opaque(picture: PILImage) -> PILImage:
    if picture.mode.startswith("I") or picture.mode == "F":
        picture = _eight_bits(picture)
    if picture.mode == "LAB":
        return _from_lab(picture)
    return picture.convert("RGB")


def _with_alpha(picture: PILImage) -> PILImage:
    """A picture with transparency as RGBA."""
    if picture.mode in ("RGBa", "La"):  # colours multiplied by their opacity
        picture = picture.convert(picture.mode.upper())
    if picture.mode.startswith("I") or picture.mode == "F":  # one grey is transparent; no conversion of Pillow's knows
        from PIL import Image as Pillow

        key = picture.info["transparency"]
        grey = _eight_bits(picture)
        import numpy as np

        hidden = np.asarray(picture) == key if isinstance(key, int | float) else np.zeros(grey.size[::-1], dtype=bool)
        return Pillow.merge("LA", (grey, Pillow.fromarray((~hidden * np.uint8(255)).astype(np.uint8)))).convert("RGBA")
    return picture.convert("RGBA")


def _eight_bits(picture: PILImage) -> PILImage:
    """Greys of 16 bits, 32 bits or floats as 8 bits, rounded. Pillow would cut off everything above 255."""
    import numpy as np
    from PIL import Image as Pillow

    values = np.asarray(picture)
    if picture.mode == "F":
        if not (np.isfinite(values).all() and values.min() >= 0 and values.max() <= 1):
            raise ValueError("a picture of floats has values from 0 to 1; scale it, or save it with 8 or 16 bits")
        scaled = values * np.float32(255)
        scaled += np.float32(0.5)  # in place: at `MAX_PIXELS` each copy is a quarter of a gigabyte
        return Pillow.fromarray(scaled.astype(np.uint8))
    if picture.mode == "I" and not (values.min() >= 0 and values.max() <= 65_535):
        raise ValueError(
            "a picture of 32-bit integers has values from 0 to 65,535; scale it, or save it with 8 or 16 bits"
        )
    rounded = values.astype(np.uint32)
    rounded += 128
    rounded //= 257
    return Pillow.fromarray(rounded.astype(np.uint8))


def _from_lab(picture: PILImage) -> PILImage:
    """CIELAB to sRGB, which Pillow's `convert` does not know."""
    from PIL import ImageCms

    lab, srgb = ImageCms.createProfile("LAB"), ImageCms.createProfile("sRGB")
    converted = ImageCms.profileToProfile(picture, lab, srgb, outputMode="RGB")
    assert converted is not None  # only conversions in place return nothing
    return converted
