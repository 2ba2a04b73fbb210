"""From a trained model to whoever points with it: the recipe's `model.regions` says how."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import TYPE_CHECKING, assert_never

from triptych.api import fingerprint_of as fingerprint_of_run
from triptych.decoders.config import EmbeddingRegionsConfig
from triptych.errors import RecipeError
from triptych.families.composed.config import composed
from triptych.families.composed.objectives import Regions
from triptych.generate.config import GenerationSettings
from triptych.grounding.config import CallRegionsConfig, RegionsConfig, TextRegionsConfig
from triptych.grounding.detectors.config import TrainedConfig
from triptych.grounding.grounding import Grounder
from triptych.model.build import recipe_of
from triptych.recipe import Recipe
from triptych.weights import content_sha256, fetch

if TYPE_CHECKING:
    from triptych.families.composed.loaded import Assistant


def fingerprint_of(model: Assistant) -> str:
    """A hash of all that decides what a trained model points at: of itself, and of the weights of whom it calls.

    Raises:
        WeightsError: The weights of the detector, or of who cuts out masks, cannot be had.
    """
    config = composed(model.recipe).regions
    if not isinstance(config, CallRegionsConfig):
        return model.fingerprint
    base = Path(model.recipe.base)
    folder = fetch(config.detector.weights, base=base)
    trained = isinstance(config.detector, TrainedConfig)
    made_of = [model.fingerprint, fingerprint_of_run(folder, recipe_of(folder)) if trained else content_sha256(folder)]
    if config.masks is not None:
        made_of.append(content_sha256(fetch(config.masks.weights, base=base)))
    return hashlib.sha256(" ".join(made_of).encode()).hexdigest()[:16]


def settings_of(config: RegionsConfig | None) -> GenerationSettings:
    """How a model that points decodes its answers where nobody says otherwise: `model.regions.generation`.

    Regions as text are words of an answer like any other, and have no settings of their own.
    """
    if isinstance(config, EmbeddingRegionsConfig | CallRegionsConfig):
        return config.generation
    return GenerationSettings()


def judges_masks(recipe: Recipe, config: EmbeddingRegionsConfig) -> bool:
    """Whether a model's mask decoder has learned to tell how well its masks fit: in SAM, or by `mask_quality`."""
    if config.mask is None:
        return False
    objectives = [stage.objective for stage in recipe.stages]
    taught = any(isinstance(one, Regions) and one.mask_quality > 0 for one in objectives)
    return taught or config.mask.weights is not None


def build_grounder(model: Assistant, settings: GenerationSettings | None = None) -> Grounder:
    """What finds expressions in pictures by a trained model, in whichever way its recipe chose.

    Args:
        model: A trained model.
        settings: How answers are decoded; the recipe's and the way's own settings by default.

    Raises:
        RecipeError: The model was not trained to point.
        WeightsError: The detector that it calls cannot be had.
    """
    config = composed(model.recipe).regions
    match config:
        case None:
            raise RecipeError(f"{model.recipe.name}: {model.refusal('grounds')}")
        case TextRegionsConfig():
            from triptych.grounding.text_grounder import TextGrounder

            sees = "image" in model.model.encoders
            return TextGrounder(
                model.generator, config, model.model.encoder("image").preparation if sees else None, settings
            )
        case EmbeddingRegionsConfig():
            from triptych.grounding.embedding_grounder import EmbeddingGrounder

            return EmbeddingGrounder(model.generator, config, settings, judges_masks(model.recipe, config))
        case CallRegionsConfig():
            from triptych.grounding.call_grounder import CallGrounder

            if settings is not None:
                config = config.model_copy(update={"generation": settings})
            return CallGrounder.from_config(model, config, Path(model.recipe.base))
        case _:
            assert_never(config)
