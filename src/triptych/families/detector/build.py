"""From a recipe to a detector."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from triptych.encoders import checkpoints
from triptych.encoders.build import build as build_encoder
from triptych.encoders.config import TextTransformerConfig
from triptych.encoders.image_encoder import ImageEncoder
from triptych.encoders.text_transformer import TextTower
from triptych.errors import RecipeError
from triptych.families.detector.config import DetectorModelConfig, WordEmbeddingsConfig
from triptych.families.detector.model import Heads, OpenVocabularyDetector
from triptych.families.detector.phrases import EmbeddedPhrases, TowerPhrases
from triptych.language.build import build as build_language
from triptych.language.build import load_tokenizer
from triptych.language.config import LanguageConfig
from triptych.recipe import Recipe
from triptych.sequence.pairs import Words


def build_detector_model(
    recipe: Recipe, vision: ImageEncoder | None = None, text: nn.Module | None = None
) -> OpenVocabularyDetector:
    """The detector of a recipe, pretrained sides loaded, heads drawn from the recipe's seed.

    Args:
        recipe: Whose `model` is of `kind: detector`.
        vision: The image side, where it is built already.
        text: The text side, likewise.

    Raises:
        WeightsError: Weights or the tokenizer cannot be found or read.
        RecipeError: Parts do not go together.
    """
    config, base = recipe.model, Path(recipe.base)
    if not isinstance(config, DetectorModelConfig):
        raise RecipeError("model: expected `kind: detector`")
    torch.manual_seed(recipe.seed)
    vision = vision if vision is not None else build_encoder(config.vision, base)
    vision.requires_grad_(False).eval()
    finest = max(level.fineness for level in vision.levels)
    if config.fineness > finest:
        raise RecipeError(f"model.fineness: {config.fineness}, but the encoder has {finest} cells a position at most")
    learned = isinstance(config.text, WordEmbeddingsConfig) or config.text.weights is None
    text = text if text is not None else _phrases(config, base)
    heads = Heads(vision.levels, vision.grid, config.fineness, config.width, config.blocks, config.embed_dim)
    saved = (
        ["heads."] + (["text."] if learned else []) + ([] if getattr(config.vision, "weights", None) else ["vision."])
    )
    return OpenVocabularyDetector(vision, text, heads, tuple(saved)).eval()


def _phrases(config: DetectorModelConfig, base: Path) -> nn.Module:
    """The text side."""
    match config.text:
        case WordEmbeddingsConfig():
            return EmbeddedPhrases(*word_embeddings(config.text.weights, base), config.embed_dim)
        case TextTransformerConfig():
            return _tower(config, config.text, base)


def word_embeddings(uri: str, base: Path) -> tuple[Tensor, Any]:
    """The input embeddings `[V, D]` of a language model, in float32, and its tokenizer.

    Raises:
        WeightsError: They cannot be had.
    """
    language = build_language(LanguageConfig(weights=uri), base)
    return language.embedding.weight.detach().float().clone(), language.tokenizer


def _tower(config: DetectorModelConfig, side: TextTransformerConfig, base: Path) -> TowerPhrases:
    read = checkpoints.read(side.weights, base) if side.weights is not None else None
    shape = side.architecture or (read.shapes.text if read is not None else None)
    if shape is None:
        raise RecipeError("model.text.architecture: the weights do not tell it; give it")
    words = Words(load_tokenizer(LanguageConfig(weights=config.tokenizer), base), shape.max_tokens)
    tower = TextTower(shape, config.embed_dim, words.vocabulary)
    if read is not None:
        checkpoints.load(tower, read, "text")
    return TowerPhrases(tower, words)
