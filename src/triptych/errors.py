"""The errors Triptych raises on purpose.

Every message says what was wrong, where, what was expected and what to try; the command line prints
it without a traceback. Anything that is not a `TriptychError` is a defect of ours.
"""

from __future__ import annotations

import shlex
from pathlib import Path
from reprlib import Repr
from typing import Any


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


_repr = Repr()
_repr.maxstring = _repr.maxother = _repr.maxlong = 80
_repr.maxlevel = 3


def shortened(value: Any, limit: int = 120) -> str:
    """A value as messages show it: its `repr`, of which the middle is left out where it is long."""
    text = _repr.repr(value)
    return text if len(text) <= limit else f"{text[: limit - 20]}…{text[-19:]}"


def resume_command(run: Path) -> str:
    """What continues a run that was stopped, for messages: its recipe names no folder, or another one, so it is told."""
    return shlex.join(["triptych", "train", str(run / "recipe.yaml"), "--output", str(run), "--resume"])
