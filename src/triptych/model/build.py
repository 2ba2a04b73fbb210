"""From a recipe to its model, and from a run's folder back to the recipe and the weights that it trained."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TypeVar

from triptych.errors import WeightsError
from triptych.family import family_of
from triptych.model.saved import load_weights, names_of
from triptych.model.trainable import Trainable
from triptych.recipe import Recipe, load_recipe
from triptych.weights.run_folder import is_run, weights_file
from triptych.weights.tensor_files import read_tensors

Model = TypeVar("Model", bound=Trainable)


def build(recipe: Recipe) -> Trainable:
    """The model of a recipe, of whatever kind, pretrained parts loaded, new parts drawn from the recipe's seed.

    Raises:
        WeightsError: Weights cannot be found or read.
        RecipeError: Parts do not go together.
    """
    model: Trainable = family_of(recipe.model).build(recipe)
    return model


def recipe_of(run: Path) -> Recipe:
    """The recipe of a finished run.

    Raises:
        WeightsError: The folder is no finished run.
    """
    if not is_run(run):
        raise WeightsError(f"{run}: not a run's folder (no recipe.yaml); train one with `triptych train RECIPE`")
    weights_file(run)
    return load_recipe(run / "recipe.yaml")


def trained(model: Model, run: Path, recipe: Recipe, may_lack: Sequence[str] = ()) -> Model:
    """The model with the weights of a run in place, all that it trained and all that came from no weights.

    Args:
        model: Of the run's recipe, or one that starts from the run.
        run: Its folder.
        recipe: The run's.
        may_lack: Patterns of tensors that the model has and the run's did not.

    Raises:
        WeightsError: They cannot be read, are not all there, or belong to another model.
    """
    file = weights_file(run)
    load_weights(model, names_of(model, recipe.stages), read_tensors(file, str(run)), str(file), may_lack)
    return model
