"""The image part: a picture named by where it is, opened safely and only when it is needed."""

from __future__ import annotations

import hashlib
import io
import warnings
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from triptych.errors import DataError

if TYPE_CHECKING:
    from PIL.Image import Image as PILImage

MAX_PIXELS = 64_000_000
"""Pictures with more pixels than this are refused: far above any camera, far below a decompression bomb."""

MAX_BYTES = 128 * 1024 * 1024
"""Encoded pictures above this size are refused unread."""


@dataclass(frozen=True, eq=False)
class Image:
    """A picture in a conversation: from a file, from encoded bytes, from a Pillow image, or drawn on demand.

    Args:
        source: A path, the encoded bytes, a Pillow image, or a function that draws one.
        key: Names the content when it is cheaper than hashing it (a drawn picture: generator, version, seed).
            Two images with the same key must have the same pixels.
        name: What error messages and the ledger call it; the path by default.
    """

    source: str | Path | bytes | PILImage | Callable[[], PILImage]
    key: str | None = None
    name: str = ""
    _cache: dict[str, str] = field(default_factory=dict, repr=False, compare=False)

    def __str__(self) -> str:
        if self.name:
            return self.name
        return str(self.source) if isinstance(self.source, str | Path) else "image in memory"

    def open(self) -> PILImage:
        """The pixels, RGB, upright (EXIF orientation applied), fully decoded.

        Raises:
            DataError: The file is missing, is no picture, is truncated or is too large.
        """
        from PIL import Image as Pillow
        from PIL import ImageOps

        if callable(self.source):
            return self.source().convert("RGB")
        if isinstance(self.source, Pillow.Image):
            return self.source.convert("RGB")
        data = self._read()
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", Pillow.DecompressionBombWarning)
                picture = Pillow.open(io.BytesIO(data))
                width, height = picture.size
                if width * height > MAX_PIXELS:
                    raise DataError(
                        f"{self}: {width} × {height} pixels is more than the {MAX_PIXELS:,} allowed; resize it first"
                    )
                picture.load()
                return ImageOps.exif_transpose(picture).convert("RGB")
        except DataError:
            raise
        except Exception as error:  # Pillow raises many kinds, SyntaxError and struct.error among them
            raise DataError(f"{self}: not a readable picture ({error})") from error

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
        return self._cache["hash"]

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
