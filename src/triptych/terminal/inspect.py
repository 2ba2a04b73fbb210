"""Showing what a recipe makes of one record."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from triptych.data.reading import read_record
from triptych.data.sources import build as build_source
from triptych.errors import DataError, RecipeError
from triptych.family import family_of
from triptych.recipe import Recipe
from triptych.recipe.messages import unknown_name


def inspect(recipe: Recipe, sample: int, data: str | None, save: Path | None) -> None:
    """Print what a recipe's model makes of one record of its data, without loading weights of a language model.

    Raises:
        RecipeError: There is no such dataset.
        DataError: There is no such record, or it cannot be read.
    """
    name = data or (next(iter(recipe.stages[-1].mixture)) if recipe.stages else next(iter(recipe.data), ""))
    if name not in recipe.data:
        raise RecipeError(f"--data {unknown_name(name, recipe.data)}")
    source = build_source(recipe.data[name], Path(recipe.base))
    if not 0 <= sample < len(source):
        raise DataError(f"{name} has {len(source):,} records; --sample goes from 0 to {len(source) - 1}")
    conversation = read_record(source, sample)
    if not conversation.id:
        conversation = replace(conversation, id=str(sample))
    family_of(recipe.model).inspect(recipe, conversation, name, save)
