"""The contract of media: what in a conversation is neither text nor a region, named by where it is and opened when it is needed."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Self

from triptych.errors import DataError, quoted

if TYPE_CHECKING:
    from PIL.Image import Image as PILImage


@dataclass(frozen=True)
class Limits:
    """How large a medium may be: what is larger is refused before it is opened.

    Args:
        encoded: Bytes of the encoded medium.
    """

    encoded: int = 128 * 1024 * 1024

    def check(self, size: int, name: object) -> None:
        """Refuse an encoded medium of more than `encoded` bytes.

        Raises:
            DataError: It is larger.
        """
        if size > self.encoded:
            raise DataError(f"{name}: {size:,} bytes is more than the {self.encoded:,} allowed")

    def read(self, path: Path) -> bytes:
        """The content of a file.

        Raises:
            DataError: It cannot be read, or is too large.
        """
        try:
            self.check(path.stat().st_size, path)
            return path.read_bytes()
        except OSError as error:
            raise DataError(f"{path}: cannot be read ({error.strerror or error})") from error


class Medium(ABC):
    """A medium of one modality. A subclass sets `modality` and writes `content_hash`, `open` and how it is read.

    Objects are immutable and picklable: processes that read data hand them on. `str(medium)` is what error messages, the
    ledger and `triptych inspect` call it.
    """

    modality: ClassVar[str]
    """The name of its kind: the key of its encoder in a recipe, and the type of a part in a file of messages."""

    limits: ClassVar[Limits] = Limits()
    """How large it may be."""

    @property
    @abstractmethod
    def content_hash(self) -> str:
        """A hash that is equal for equal content of this modality; the key of cached features.

        Raises:
            DataError: The content cannot be read.
        """

    @abstractmethod
    def open(self) -> Any:
        """The content, decoded.

        Raises:
            DataError: It is missing, damaged or too large.
        """

    @property
    def identity(self) -> tuple[str, str]:
        """Modality and content hash: equal for equal media only. One file may be a medium of two modalities."""
        return self.modality, self.content_hash

    def picture(self) -> PILImage | None:
        """What a person is shown of it in terminals and reports; None where that is its name alone.

        Raises:
            DataError: As `open`.
        """
        return None

    @classmethod
    def from_file(cls, path: Path) -> Self:
        """The medium in a file, which need not be opened yet.

        Raises:
            DataError: This modality is not read from files.
        """
        raise DataError(f"{path}: media of the modality {cls.modality!r} are not read from files")

    @classmethod
    def from_value(cls, value: Any) -> Self:
        """The medium that a part of a message holds, as JSON has it; a text there is the path of a file instead.

        Raises:
            DataError: The value is none of this modality.
        """
        raise DataError(f"expected the path of a file of the modality {cls.modality!r}, got {quoted(value)}")
