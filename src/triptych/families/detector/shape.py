"""A detector on the meta device: every shape is real, no number is stored."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from torch import nn

from triptych.encoders import checkpoints
from triptych.encoders.config import TextTransformerConfig
from triptych.encoders.text_transformer import TextTower
from triptych.errors import RecipeError
from triptych.families.detector.build import build_detector_model
from triptych.families.detector.config import DetectorModelConfig, WordEmbeddingsConfig
from triptych.families.detector.model import OpenVocabularyDetector
from triptych.families.detector.phrases import EmbeddedPhrases, TowerPhrases
from triptych.language.config import LanguageConfig
from triptych.planner.parts import meta_encoder, meta_language
from triptych.planner.vocabulary import Vocabulary, vocabulary
from triptych.recipe import Recipe
from triptych.sequence.pairs import Words


def build_detector_shape(
    recipe: Recipe, bfloat16_encoder: bool = False, tokenizer: Any | None = None
) -> OpenVocabularyDetector:
    """The detector of a recipe on the meta device. No weights are read, no tokenizer is loaded.

    Args:
        recipe: What to build.
        bfloat16_encoder: Whether an encoder of `precision: auto` computes in bfloat16.
        tokenizer: Of the phrases, where it is at hand; without it a word is a token.

    Raises:
        RecipeError: The size of the vocabulary, or an architecture, is not known here.
    """
    config, base = recipe.model, Path(recipe.base)
    assert isinstance(config, DetectorModelConfig)
    vision = meta_encoder(config.vision, base, bfloat16_encoder)
    text: nn.Module
    match config.text:
        case WordEmbeddingsConfig():
            table = meta_language(LanguageConfig(weights=config.text.weights), base).embedding.weight.detach()
            with torch.device("meta"):
                text = EmbeddedPhrases(table, tokenizer or Vocabulary(1), config.embed_dim)
        case TextTransformerConfig():
            text = _phrase_tower(config, config.text, base, tokenizer)
    with torch.device("meta"):
        return build_detector_model(recipe, vision, text)


def _phrase_tower(
    config: DetectorModelConfig, side: TextTransformerConfig, base: Path, tokenizer: Any | None
) -> TowerPhrases:
    shape = side.architecture or (checkpoints.shapes(side.weights, base).text if side.weights is not None else None)
    if shape is None:
        raise RecipeError("model.text.architecture: the weights do not tell it; give it")
    words = shape.vocabulary or vocabulary(config.tokenizer, tokenizer)
    if words is None:
        raise RecipeError("model.text.architecture.vocabulary: give it; the tokenizer is not at hand")
    with torch.device("meta"):
        tower = TextTower(shape, config.embed_dim, words)
    return TowerPhrases(tower, Words(tokenizer or Vocabulary(words), shape.max_tokens))
