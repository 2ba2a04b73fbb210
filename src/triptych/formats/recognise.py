"""What the files of this package bring, found by their place: a new format is one file with `FORMATS`, `SHAPE` or `DUAL`.

names of tensors ──► recognise ──► Format          a configuration ──► shape_of, dual_of ──► Shape, Dual
"""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Collection
from pathlib import Path
from typing import Any

from triptych.errors import WeightsError
from triptych.formats.format import Format
from triptych.formats.shapes import Dual, Shape

_FILES = [
    importlib.import_module(f"triptych.formats.{found.name}")
    for found in pkgutil.iter_modules([str(Path(__file__).parent)])
    if found.name != "recognise"
]

FORMATS: tuple[Format, ...] = tuple(known for file in _FILES for known in getattr(file, "FORMATS", ()))
"""All of them. Where the marks of two are there, the one with more marks is meant: a whole model has its tower's too."""

DUALS: dict[str, Dual] = {file.DUAL.model_type: file.DUAL for file in _FILES if hasattr(file, "DUAL")}
"""Dual encoders by the model type of transformers."""

VISION: tuple[Shape, ...] = (
    *(known.vision for known in DUALS.values()),
    *(file.SHAPE for file in _FILES if hasattr(file, "SHAPE")),
)
TEXT: tuple[Shape, ...] = tuple(known.text for known in DUALS.values())
"""Kinds of towers that ours can be."""


def recognise(names: Collection[str], where: str) -> Format:
    """The format of tensors with these names.

    Args:
        names: Of the tensors.
        where: They come from, for the message.

    Raises:
        WeightsError: They are in no known format; the message says what the nearest one lacks.
    """
    there = set(names)
    fitting = [known for known in FORMATS if there.issuperset(known.marks)]
    if fitting:
        return max(fitting, key=lambda known: len(known.marks))
    nearest = max(FORMATS, key=lambda known: len(there.intersection(known.marks)) / len(known.marks))
    lacking = [mark for mark in nearest.marks if mark not in there]
    near = "" if len(lacking) == len(nearest.marks) else f"; for {nearest.name} it lacks {', '.join(lacking)}"
    begins = ", ".join(sorted(there)[:3]) or "nothing"
    raise WeightsError(
        f"{where}: its {len(there)} tensors (the first are {begins}) are in no known format{near}\n"
        f"Known are {', '.join(known.name for known in FORMATS)}."
    )


def values_of(config: Any, side: str) -> dict[str, Any]:
    """The values of our architecture of a tower's configuration, or of the one inside a whole model's.

    Args:
        config: Of transformers.
        side: `vision` or `text`.

    Raises:
        WeightsError: It is of another family, or has an option that ours do not.
    """
    tower = getattr(config, f"{side}_config", config)
    kinds = {kind: shape for shape in (VISION if side == "vision" else TEXT) for kind in shape.model_types}
    if tower.model_type not in kinds:
        raise WeightsError(f"model type {tower.model_type!r} is no {side} tower of ours; known are {', '.join(kinds)}")
    return kinds[tower.model_type].ours(tower)


def config_of(model: Any, end: int | None = None) -> Any:
    """The configuration that makes transformers build two towers, of the family that fits them best; see `Dual.config`."""
    return min(DUALS.values(), key=lambda dual: len(dual.odd(model))).config(model, end)
