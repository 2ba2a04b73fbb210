"""All foreign systems, found by their place: a new one is one file in `systems/` with `FORMATS`, `SYSTEMS` or both."""

from __future__ import annotations

import difflib
import importlib
import pkgutil

import triptych.interchange.systems as systems
from triptych.interchange.errors import UnknownFormat
from triptych.interchange.format import Format, System

_FILES = [
    importlib.import_module(f"{systems.__name__}.{found.name}") for found in pkgutil.iter_modules(systems.__path__)
]

FORMATS: tuple[Format, ...] = tuple(known for file in _FILES for known in getattr(file, "FORMATS", ()))
"""Forms that a run can be written in."""

SYSTEMS: dict[str, System] = {known.model_type: known for file in _FILES for known in getattr(file, "SYSTEMS", ())}
"""Models that are read as runs, by the model type of transformers."""


def format_called(name: str) -> Format:
    """The format of a name.

    Raises:
        UnknownFormat: There is none; the message has the nearest one and all names.
    """
    by_name = {known.name: known for known in FORMATS}
    if name not in by_name:
        near = difflib.get_close_matches(name, by_name, n=1, cutoff=0.4)
        listed = "\n".join(f"  {known.name}: {known.what}" for known in FORMATS)
        raise UnknownFormat(
            f"format {name!r} is not known{f'; did you mean {near[0]!r}?' if near else ''} Known are\n{listed}"
        )
    return by_name[name]
