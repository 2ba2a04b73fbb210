"""The errors Triptych raises on purpose.

Every message says what was wrong, where, what was expected and what to try; the command line prints
it without a traceback. Anything that is not a `TriptychError` is a defect of ours.
"""

from __future__ import annotations

import re
import reprlib
import shlex
from pathlib import Path


class TriptychError(Exception):
    """Base of every error meant for the person at the keyboard."""


class RecipeError(TriptychError):
    """A recipe cannot be read, does not fit the schema, or asks for parts that do not go together."""


class DataError(TriptychError):
    """A dataset or a medium (image, …) cannot be read, or too much of it was refused."""


class WeightsError(TriptychError):
    """Weights cannot be found, downloaded, verified or loaded."""


class TrainingError(TriptychError):
    """Training cannot start or go on: a non-finite loss, a checkpoint that does not fit, …"""


class GenerationError(TriptychError):
    """A prompt cannot be answered, for example because it leaves no room for an answer."""


class EvaluationError(TriptychError):
    """An evaluation cannot run, or its records do not belong together."""


class FolderError(TriptychError):
    """A file or folder cannot be written: the disk is full, the folder is read-only or gone.

    Args:
        message: For the person at the keyboard.
        errno: The system's number of the error, where it has one.
    """

    def __init__(self, message: str, errno: int | None = None) -> None:
        super().__init__(message)
        self.errno = errno


def one_line(error: BaseException, limit: int = 300) -> str:
    """What an error of a library says, as one short line for a message of ours."""
    text = " ".join(str(error).split()) or type(error).__name__
    return text if len(text) <= limit else f"{text[: limit - 1]}…"


def resume_command(run: Path) -> str:
    """What continues a run that was stopped, for messages: its recipe names no folder, or another one, so it is told."""
    return shlex.join(["triptych", "train", str(run / "recipe.yaml"), "--output", str(run), "--resume"])


_UNPRINTABLE = re.compile(r"[\x00-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069\ud800-\udfff]")
_SHORT = reprlib.Repr()
_SHORT.maxlevel, _SHORT.maxstring, _SHORT.maxother = 3, 60, 60


def excerpt(value: object, limit: int = 80) -> str:
    """A value that came from outside, as messages and the ledger show it: on one line, printable and short.

    Args:
        value: Text as it stands, but for what no terminal should be sent (control characters, lone surrogates), which is
            written as escapes; of anything else, its abbreviated `repr`.
        limit: Characters of it, at most; what is longer says how long it is.
    """
    try:
        text = value if isinstance(value, str) else _SHORT.repr(value)
    except Exception:  # an integer of thousands of digits, an object whose own repr fails
        text = f"a value of type {type(value).__name__}"
    shown = _UNPRINTABLE.sub(lambda match: match[0].encode("unicode_escape").decode(), text[: limit + 1])
    if len(text) <= limit and len(shown) <= 2 * limit:
        return shown
    return f"{shown[:limit]}… ({len(text):,} characters)"


def quoted(value: object, limit: int = 80) -> str:
    """`excerpt` in quotation marks where it is text."""
    return f"'{excerpt(value, limit)}'" if isinstance(value, str) else excerpt(value, limit)
