"""The image part: a picture named by where it is, opened safely and only when it is needed."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Self

from triptych.conversation.decoding import (
    SIDEWAYS,
    WHITE,
    Colour,
    check_size,
    is_scaled,
    is_transparent,
    opened,
    orientation,
    unreadable,
    upright_rgb,
    upright_rgba,
)
from triptych.conversation.medium import Limits, Medium
from triptych.conversation.region import Frame

if TYPE_CHECKING:
    from PIL.Image import Image as PILImage


@dataclass(frozen=True, eq=False)
class Image(Medium):
    """A picture in a conversation: from a file, from encoded bytes, from a Pillow image, or drawn on demand.

    Args:
        source: A path, the encoded bytes, a Pillow image, or a function that draws one.
        key: Names the content when it is cheaper than hashing it (a drawn picture: generator, version, seed).
            Two images with the same key must have the same pixels.
        name: What error messages and the ledger call it; the path by default.
        size: Width and height, where they are known without drawing it.
    """

    modality: ClassVar[str] = "image"
    limits: ClassVar[Limits] = Limits(encoded=128 * 1024 * 1024)  # of pixels: `conversation.decoding`

    source: str | Path | bytes | PILImage | Callable[[], PILImage]
    key: str | None = None
    name: str = ""
    size: tuple[int, int] | None = None
    _cache: dict[str, Any] = field(default_factory=dict, repr=False, compare=False)

    def __str__(self) -> str:
        if self.name:
            return self.name
        return str(self.source) if isinstance(self.source, str | Path) else "image in memory"

    def open(self, background: Colour = WHITE) -> PILImage:
        """The pixels, RGB, upright (EXIF orientation applied), fully decoded, by the rules of `conversation.decoding`.

        Args:
            background: What is behind transparent pixels.

        Raises:
            DataError: The file is missing, is no picture, is truncated, is too large, or has values without a known range.
        """
        picture = self._picture()
        try:
            return upright_rgb(picture, background)
        except Exception as error:  # Pillow raises many kinds, SyntaxError and struct.error among them
            raise unreadable(str(self), error) from error

    def picture(self) -> PILImage:
        """See `open`."""
        return self.open()

    @classmethod
    def from_file(cls, path: Path) -> Self:
        """The picture in a file."""
        return cls(path)

    @property
    def frame(self) -> Frame:
        """The size that `open` will have, from `size` or the head of the file: the frame of regions in the picture's pixels.

        Raises:
            DataError: As `open`, as far as the head tells.
        """
        return Frame(*self.size) if self.size is not None else self._head[0]

    @property
    def turned(self) -> bool:
        """Whether the file says that its pixels have to be turned or mirrored to be seen upright (EXIF orientation).

        Raises:
            DataError: As `frame`.
        """
        return self.size is None and self._head[1] != 1

    @property
    def lies(self) -> bool:
        """Whether turning it exchanges its width and height.

        Raises:
            DataError: As `frame`.
        """
        return self.size is None and self._head[1] in SIDEWAYS

    @property
    def _head(self) -> tuple[Frame, int]:
        """The size of the upright picture, and EXIF's orientation."""
        if "head" not in self._cache:
            picture = self._picture()
            try:
                way = orientation(picture)
                self._cache["head"] = Frame(*(picture.size[::-1] if way in SIDEWAYS else picture.size)), way
            except Exception as error:
                raise unreadable(str(self), error) from error
        found: tuple[Frame, int] = self._cache["head"]
        return found

    @property
    def content_hash(self) -> str:
        """A hash that is equal for equal content: of the key, of the encoded bytes, or of the pixels.

        It is the key of cached features, so it also says how the content is read where that is not the obvious way.
        """
        if "hash" not in self._cache:
            if self.key is not None:
                content = b"key:" + self.key.encode()
            elif isinstance(self.source, str | Path | bytes):
                data = self._read()
                content = self._way_of_reading(data) + b"bytes:" + data
            else:
                content = self._pixels()
            self._cache["hash"] = hashlib.sha256(content).hexdigest()
        found: str = self._cache["hash"]
        return found

    def _way_of_reading(self, data: bytes) -> bytes:
        """What distinguishes features of today's reading from those of versions that showed hidden colours and cut values off."""
        # Most pictures are JPEG, which has neither transparency nor more than eight bits: no need to read its header.
        if data.startswith(b"\xff\xd8"):
            return b""
        try:
            picture = opened(data, str(self))
            return b"composited:" if is_transparent(picture) else b"scaled:" if is_scaled(picture) else b""
        except Exception:  # damaged: whoever opens it says so
            return b""

    def _pixels(self) -> bytes:
        """The content of a picture in memory; of a transparent one with what it hides, so that it holds on any background."""
        picture = self._picture()
        try:
            if is_transparent(picture):
                stored = upright_rgba(picture)
                return b"RGBA:" + repr(stored.size).encode() + stored.tobytes()
        except Exception as error:
            raise unreadable(str(self), error) from error
        seen = self.open()
        return b"pixels:" + repr(seen.size).encode() + seen.tobytes()

    def _picture(self) -> PILImage:
        """As Pillow opens it: neither upright nor decoded yet."""
        from PIL import Image as Pillow

        if isinstance(self.source, str | Path | bytes):
            return opened(self._read(), str(self))
        picture = self.source if isinstance(self.source, Pillow.Image) else self.source()
        check_size(*picture.size, str(self))
        return picture

    def _read(self) -> bytes:
        if isinstance(self.source, bytes):
            self.limits.check(len(self.source), self)
            return self.source
        assert isinstance(self.source, str | Path)
        return self.limits.read(Path(self.source))
