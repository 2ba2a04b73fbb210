"""A finished run, loaded to be written in another form."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import torch
from torch import nn

from triptych.families.composed.config import ModelConfig
from triptych.language.backbone import LanguageModel
from triptych.model.build import build, recipe_of, trained
from triptych.model.composed import MultimodalModel
from triptych.recipe import Recipe
from triptych.weights.run_folder import weights_file
from triptych.weights.tensor_files import safetensors_header


@dataclass(frozen=True)
class Finished:
    """A run.

    Args:
        path: Its folder.
        recipe: What it was trained by.
        model: As trained; encoders in float32, whatever they compute in.
        learnt: Names of the tensors that the run holds: what was trained, and what comes from no weights.
        dtype: What is written.
    """

    path: Path
    recipe: Recipe
    model: nn.Module
    learnt: frozenset[str]
    dtype: torch.dtype

    @property
    def language(self) -> LanguageModel | None:
        """The language model, where there is one."""
        return self.model.language if isinstance(self.model, MultimodalModel) else None


def load(path: Path, dtype: str | None = None) -> Finished:
    """A run with its trained weights in place.

    Args:
        path: Its folder.
        dtype: What is to be written, by torch's name; None takes the precision of the language model or the towers.

    Raises:
        WeightsError: The folder is no finished run.
    """
    recipe = recipe_of(path)
    model = trained(build(_precise(recipe)), path, recipe).eval().requires_grad_(False)
    learnt = frozenset(safetensors_header(weights_file(path), str(path)))
    return Finished(path, recipe, model, learnt, getattr(torch, dtype or recipe.model.written_precision))


def _precise(recipe: Recipe) -> Recipe:
    """The recipe with its encoders in float32, so that nothing is rounded that the format could keep."""
    model = recipe.model
    if not isinstance(model, ModelConfig):
        return recipe
    encoder = model.encoders.image
    if encoder is None or not hasattr(encoder, "precision"):
        return recipe
    encoders = model.encoders.model_copy(update={"image": encoder.model_copy(update={"precision": "float32"})})
    return recipe.model_copy(update={"model": model.model_copy(update={"encoders": encoders})})
