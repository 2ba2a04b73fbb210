"""A section of a report that a kind of model adds."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from markupsafe import Markup

from triptych.errors import TriptychError
from triptych.family import family_of
from triptych.recipe import load_recipe


@dataclass(frozen=True)
class Section:
    """A title, and what stands under it as HTML; the family has to escape what comes from data (`markupsafe.Markup`)."""

    title: str
    html: Markup


def sections(run: Path) -> list[Section]:
    """The sections of a run's family; none where its recipe cannot be read."""
    try:
        recipe = load_recipe(run / "recipe.yaml")
        found: list[Section] = family_of(recipe.model).sections(run, recipe)
    except TriptychError:
        return []
    return found
