"""The class of media of each modality: what readers of data and the command line look up by name.

    built in  ─┐
    installed ─┼─► modality ─► subclass of `Medium`, imported when it is first needed
    declared  ─┘

Images are built in. A package installs others as entry points of the group `triptych.media` (`numbers = "package.module:Numbers"`).
A recipe declares those that its encoders take.
"""

from __future__ import annotations

import difflib
import functools
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path

from triptych.conversation.image import Image
from triptych.conversation.medium import Medium
from triptych.errors import DataError
from triptych.registry import find

GROUP = "triptych.media"
"""The group of entry points of installed media."""

_DECLARED: dict[str, str] = {}


def declare(modality: str, encoder: str) -> None:
    """Let a modality's media be those that an encoder takes, in this process, from now on.

    Args:
        modality: Its name.
        encoder: Its kind in a recipe, with the class of its media as `medium`; imported when it is first needed.
    """
    _DECLARED[modality] = encoder


def medium_type(modality: str) -> type[Medium]:
    """The class of a modality's media.

    Raises:
        DataError: No modality has this name.
        RecipeError: The class that a recipe declared cannot be imported.
    """
    if modality == Image.modality:
        return Image
    if modality in _DECLARED:
        medium: type[Medium] | None = getattr(find("encoder", _DECLARED[modality], object), "medium", None)
    else:
        installed = _installed()
        if modality not in installed:
            raise DataError(_unknown(modality))
        medium = installed[modality].load()
    if not (isinstance(medium, type) and issubclass(medium, Medium)):
        raise DataError(f"the modality {modality!r} is declared without a subclass of {Medium.__module__}.Medium")
    return medium


def modalities() -> list[str]:
    """The names of all modalities that have a class."""
    return sorted({Image.modality, *_DECLARED, *_installed()})


def medium_at(place: str) -> Medium:
    """The medium of `MODALITY:PATH`, as the command line names it.

    Raises:
        DataError: It does not begin with a known modality, or the modality is not read from files.
    """
    modality, separator, path = place.partition(":")
    if not separator or not path:
        raise DataError(f"{place}: expected MODALITY:PATH, such as image:cat.png (known: {', '.join(modalities())})")
    return medium_type(modality).from_file(Path(path))


@functools.cache
def _installed() -> dict[str, EntryPoint]:
    """The entry points of the group: looking them up reads a file of every installed package."""
    return {point.name: point for point in entry_points(group=GROUP)}


def _unknown(modality: str) -> str:
    near = difflib.get_close_matches(modality, modalities(), n=1, cutoff=0.5)
    hint = f"; did you mean {near[0]!r}?" if near else ""
    return (
        f"the modality {modality!r} is not known{hint} (known: {', '.join(modalities())}); a recipe with an encoder for it "
        f"makes it known, and so does a package with an entry point {GROUP!r}"
    )
