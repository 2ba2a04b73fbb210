"""What goes wrong between runs and foreign checkpoints."""

from __future__ import annotations

from triptych.errors import TriptychError


class UnknownFormat(TriptychError):
    """There is no format of that name."""


class ExportError(TriptychError):
    """A run does not fit the format, or the folder cannot be written."""


class ImportFailed(TriptychError):
    """A folder holds no model that a run could be made of, or one with something that ours do not have."""


def expect(good: bool, what: str) -> None:
    """Refuse a model that has something which ours do not have.

    Raises:
        ImportFailed: `good` is false.
    """
    if not good:
        raise ImportFailed(f"it cannot be imported: {what}")
