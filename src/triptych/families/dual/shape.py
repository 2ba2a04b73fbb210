"""A dual encoder on the meta device: every shape is real, no number is stored."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch

from triptych.errors import RecipeError
from triptych.families.dual.build import build_dual
from triptych.families.dual.config import DualConfig, FrozenImageConfig, FrozenTextConfig
from triptych.families.dual.model import DualEncoder
from triptych.planner.parts import meta_encoder, meta_language
from triptych.planner.vocabulary import Vocabulary, vocabulary
from triptych.recipe import Recipe


def build_dual_shape(recipe: Recipe, bfloat16_encoder: bool = False, tokenizer: Any | None = None) -> DualEncoder:
    """The dual encoder of a recipe on the meta device. No weights are read, no tokenizer is loaded.

    Args:
        recipe: What to build.
        bfloat16_encoder: Whether a frozen encoder of `precision: auto` computes in bfloat16.
        tokenizer: Of the texts, where it is at hand.

    Raises:
        RecipeError: The size of the vocabulary, or an architecture, is not known here.
    """
    config, base = recipe.model, Path(recipe.base)
    assert isinstance(config, DualConfig)
    encoder = language = None
    if isinstance(config.vision, FrozenImageConfig):
        encoder = meta_encoder(config.vision.encoder, base, bfloat16_encoder)
    if isinstance(config.text, FrozenTextConfig):
        language = meta_language(config.text.language, base)
        words: int | None = language.embedding.num_embeddings
    else:
        shape = config.text.architecture
        words = shape.vocabulary if shape is not None else None
        if words is None:
            words = vocabulary(config.tokenizer, tokenizer)
        if words is None and config.text.weights is None:
            raise RecipeError("model.text.architecture.vocabulary: give it; the tokenizer is not at hand")
    with torch.device("meta"):
        return build_dual(recipe, tokenizer or Vocabulary(words or 1), False, encoder, language)
