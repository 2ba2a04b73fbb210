"""The Python API: `load` a trained model of any kind."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from triptych.capabilities import Capable
from triptych.family import family_of
from triptych.model.build import recipe_of
from triptych.recipe import Recipe

if TYPE_CHECKING:
    from torch import nn

M = TypeVar("M", bound="nn.Module")


class Model(Capable):
    """A trained model. What it can do depends on its kind: see its family's subclass, and `capability`.

    Args:
        model: The module.
        recipe: What it was trained by.
        fingerprint: A hash of what was trained and of the recipe's model.
    """

    def __init__(self, model: Any, recipe: Recipe, fingerprint: str) -> None:
        self.model, self.recipe, self.fingerprint = model, recipe, fingerprint
        self.kind = recipe.model.kind

    def capability(self, name: str) -> Any | None:
        """See `Capable.capability`: itself, where its configuration says that it can."""
        return self if name in self.recipe.model.can else None

    if TYPE_CHECKING:

        def __getattr__(self, name: str) -> Any: ...  # the methods of the family's subclass


def load(run: str | Path) -> Model:
    """The trained model of a run, whatever its kind.

    Raises:
        WeightsError: The folder is no finished run, or its weights cannot be found.
        RecipeError: Its recipe cannot be read, or names code that is not trusted.
    """
    folder = Path(run)
    recipe = recipe_of(folder)
    model: Model = family_of(recipe.model).load(folder, recipe)
    return model


def placed(model: M) -> M:
    """A model where it computes: on the accelerator, if there is one."""
    import torch

    return model.to("cuda") if torch.cuda.is_available() else model


def fingerprint_of(folder: Path, recipe: Recipe) -> str:
    """A hash of what a run trained and of its recipe's model."""
    from triptych.weights import file_sha256

    made_of = file_sha256(folder / "weights" / "model.safetensors") + recipe.model.model_dump_json()
    return hashlib.sha256(made_of.encode()).hexdigest()[:16]
