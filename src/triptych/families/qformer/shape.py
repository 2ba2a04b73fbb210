"""BLIP-2's first stage on the meta device: every shape is real, no number is stored."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch

from triptych.errors import RecipeError
from triptych.families.qformer.build import build_blip2
from triptych.families.qformer.config import Blip2Config
from triptych.families.qformer.model import Blip2
from triptych.planner.parts import meta_encoder
from triptych.planner.vocabulary import Vocabulary, vocabulary
from triptych.recipe import Recipe


def build_blip2_shape(recipe: Recipe, bfloat16_encoder: bool = False, tokenizer: Any | None = None) -> Blip2:
    """The first stage of BLIP-2 of a recipe on the meta device. No weights are read, no tokenizer is loaded.

    Args:
        recipe: What to build.
        bfloat16_encoder: Whether an encoder of `precision: auto` computes in bfloat16.
        tokenizer: Of the texts, where it is at hand.

    Raises:
        RecipeError: The size of the vocabulary, or an architecture, is not known here.
    """
    config = recipe.model
    assert isinstance(config, Blip2Config)
    words = config.qformer.vocabulary
    if words is None and tokenizer is None:
        known = vocabulary(config.tokenizer, None)
        words = None if known is None else known + 1
        if words is None:
            raise RecipeError("model.qformer.vocabulary: give it; the tokenizer is not at hand")
    plain = config.model_copy(update={"qformer": config.qformer.model_copy(update={"weights": None})})
    encoder = meta_encoder(config.encoder, Path(recipe.base), bfloat16_encoder)
    with torch.device("meta"):
        return build_blip2(recipe.model_copy(update={"model": plain}), encoder, tokenizer or Vocabulary(words or 1))
