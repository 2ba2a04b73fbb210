"""`triptych inspect`."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Optional

import typer

from triptych.cli.options import Overrides, RecipeArgument
from triptych.errors import DataError, RecipeError

if TYPE_CHECKING:
    from triptych.recipe import Recipe

ORDER = 80


def inspect(
    recipe: RecipeArgument,
    overrides: Overrides = None,
    sample: Annotated[int, typer.Option("--sample", "-s", help="Which record.")] = 0,
    data: Annotated[
        Optional[str], typer.Option("--data", "-d", help="Which dataset; the last stage's first by default.")
    ] = None,
    save: Annotated[Optional[Path], typer.Option("--save", help="Write the picture to this file.")] = None,
) -> None:
    """Show what a recipe makes of one record: tokens, media spans and labels, or pairs, or boxes, and its picture."""
    from triptych.recipe import load_recipe

    show(load_recipe(recipe, overrides or ()), sample, data, save)


def show(recipe: Recipe, sample: int, data: str | None, save: Path | None) -> None:
    """Print what a recipe's model makes of one record of its data, without loading weights of a language model.

    Raises:
        RecipeError: There is no such dataset.
        DataError: There is no such record, or it cannot be read.
    """
    from triptych.data.reading import read_record
    from triptych.data.sources import build as build_source
    from triptych.family import family_of
    from triptych.recipe.messages import unknown_name

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
