"""The image part: a picture named by where it is, opened safely and only when it is needed."""

from __future__ import annotations

import hashlib
import io
import warnings
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from triptych.conversation.region import Frame
from triptych.errors import DataError

if TYPE_CHECKING:
    from PIL.Image import Image as PILImage

MAX_PIXELS = 64_000_000
"""Pictures with more pixels than this are refused: far above any camera, far below a decompression bomb."""

MAX_BYTES = 128 * 1024 * 1024
"""Encoded pictures above this size are refused unread."""

_ORIENTATION, _SIDEWAYS = 0x0112, (5, 6, 7, 8)  # EXIF's key, and its values for pictures that lie on a side


@dataclass(frozen=True, eq=False)
class Image:
    """A picture in a conversation: from a file, from encoded bytes, from a Pillow image, or drawn on demand.

    Args:
        source: A path, the encoded bytes, a Pillow image, or a function that draws one.
        key: Names the content when it is cheaper than hashing it (a drawn picture: generator, version, seed).
            Two images with the same key must have the same pixels.
        name: What error messages and the ledger call it; the path by default.
        size: Width and height, where they are known without drawing it.
    """

    source: str | Path | bytes | PILImage | Callable[[], PILImage]
    key: str | None = None
    name: str = ""
    size: tuple[int, int] | None = None
    _cache: dict[str, Any] = field(default_factory=dict, repr=False, compare=False)

    def __str__(self) -> str:
        if self.name:
            return self.name
        return str(self.source) if isinstance(self.source, str | Path) else "image in memory"

    def open(self) -> PILImage:
        """The pixels, RGB, upright (EXIF orientation applied), fully decoded; 16 bits of grey become 8.

        Raises:
            DataError: The file is missing, is no picture, is truncated or is too large.
        """
        picture = self._picture()
        try:
            return _upright(picture)
        except Exception as error:  # Pillow raises many kinds, SyntaxError and struct.error among them
            raise self._unreadable(error) from error

    @property
    def frame(self) -> Frame:
        """The size that `open` will have, from `size` or the head of the file: the frame of regions in the picture's pixels.

        Raises:
            DataError: As `open`, as far as the head tells.
        """
        if self.size is None and "frame" not in self._cache:
            picture = self._picture()
            try:
                turned = picture.getexif().get(_ORIENTATION) in _SIDEWAYS
            except Exception as error:
                raise self._unreadable(error) from error
            self._cache["frame"] = Frame(*(reversed(picture.size) if turned else picture.size))
        found: Frame = Frame(*self.size) if self.size is not None else self._cache["frame"]
        return found

    @property
    def content_hash(self) -> str:
        """A hash that is equal for equal content: of the key, of the encoded bytes, or of the pixels."""
        if "hash" not in self._cache:
            if self.key is not None:
                content = b"key:" + self.key.encode()
            elif isinstance(self.source, str | Path | bytes):
                content = b"bytes:" + self._read()
            else:
                picture = self.open()
                content = b"pixels:" + repr(picture.size).encode() + picture.tobytes()
            self._cache["hash"] = hashlib.sha256(content).hexdigest()
        found: str = self._cache["hash"]
        return found

    def _picture(self) -> PILImage:
        """As Pillow opens it: neither upright nor decoded yet."""
        from PIL import Image as Pillow

        if callable(self.source):
            return self.source()
        if isinstance(self.source, Pillow.Image):
            return self.source
        data = self._read()
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", Pillow.DecompressionBombWarning)
                picture = Pillow.open(io.BytesIO(data))
        except Exception as error:
            raise self._unreadable(error) from error
        width, height = picture.size
        if width * height > MAX_PIXELS:
            raise DataError(
                f"{self}: {width} × {height} pixels is more than the {MAX_PIXELS:,} allowed; resize it first"
            )
        return picture

    def _unreadable(self, error: Exception) -> DataError:
        return DataError(f"{self}: not a readable picture ({error})")

    def _read(self) -> bytes:
        if isinstance(self.source, bytes):
            return self.source
        assert isinstance(self.source, str | Path)
        path = Path(self.source)
        try:
            if path.stat().st_size > MAX_BYTES:
                raise DataError(f"{path}: {path.stat().st_size:,} bytes is more than the {MAX_BYTES:,} allowed")
            return path.read_bytes()
        except OSError as error:
            raise DataError(f"{path}: cannot be read ({error.strerror or error})") from error


def _upright(picture: PILImage) -> PILImage:
    """A picture as it is meant to be seen, RGB."""
    from PIL import Image as Pillow
    from PIL import ImageOps

    picture = ImageOps.exif_transpose(picture)
    if picture.mode.startswith("I;16"):  # Pillow would cut off everything above 255
        import numpy as np

        values = np.asarray(picture, dtype=np.uint32)
        picture = Pillow.fromarray(((values + 128) // 257).astype(np.uint8))
    return picture.convert("RGB")
