"""From a trained model to whoever points with it: the recipe's `model.regions` says how."""

from __future__ import annotations

from pathlib import Path
from typing import assert_never

from triptych.api import Model
from triptych.decoders.config import EmbeddingRegionsConfig
from triptych.errors import RecipeError
from triptych.generate.config import GenerationSettings
from triptych.grounding.config import CallRegionsConfig, TextRegionsConfig
from triptych.grounding.grounding import Grounder
from triptych.recipe.schema import ModelConfig


def build_grounder(model: Model, settings: GenerationSettings | None = None) -> Grounder:
    """What finds expressions in pictures by a trained model, in whichever way its recipe chose.

    Args:
        model: A trained model.
        settings: How answers are decoded; the recipe's and the way's own settings by default.

    Raises:
        RecipeError: The model was not trained to point.
        WeightsError: The detector that it calls cannot be had.
    """
    recipe = model.recipe.model
    config = recipe.regions if isinstance(recipe, ModelConfig) else None
    match config:
        case None:
            raise RecipeError(
                f"the model of {model.recipe.name!r} does not point: its recipe has no `model.regions`. "
                "Train one that has (`model.regions: {kind: text}`, `{kind: embedding}` or `{kind: call}`), for example "
                "`triptych train kosmos-2-mini`"
            )
        case TextRegionsConfig():
            from triptych.grounding.text_grounder import TextGrounder

            sees = "image" in model.model.encoders
            return TextGrounder(model.generator, config, model.model.encoder().preparation if sees else None, settings)
        case EmbeddingRegionsConfig():
            from triptych.grounding.embedding_grounder import EmbeddingGrounder

            return EmbeddingGrounder(model.generator, config, settings)
        case CallRegionsConfig():
            from triptych.grounding.call_grounder import CallGrounder

            if settings is not None:
                config = config.model_copy(update={"generation": settings})
            return CallGrounder.from_config(model, config, Path(model.recipe.base))
        case _:
            assert_never(config)
