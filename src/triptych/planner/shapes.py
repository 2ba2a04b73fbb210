"""Models that are not composed on the meta device: dual encoders, BLIP-2's first stage, detectors. No weights are read."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from torch import nn

from triptych.encoders import checkpoints
from triptych.encoders.config import TextTransformerConfig
from triptych.encoders.text_transformer import TextTower
from triptych.errors import RecipeError
from triptych.language.config import LanguageConfig
from triptych.model.blip2 import Blip2
from triptych.model.build_blip2 import build_blip2
from triptych.model.build_detector import build_detector_model
from triptych.model.build_dual import build_dual
from triptych.model.config import (
    Blip2Config,
    DetectorModelConfig,
    DualConfig,
    FrozenImageConfig,
    FrozenTextConfig,
    WordEmbeddingsConfig,
)
from triptych.model.detector import OpenVocabularyDetector
from triptych.model.dual import DualEncoder
from triptych.model.phrases import EmbeddedPhrases, TowerPhrases
from triptych.planner.parts import meta_encoder, meta_language
from triptych.planner.tokens import length
from triptych.recipe import Recipe
from triptych.sequence.pairs import Words
from triptych.sequence.read_words import DECODE
from triptych.weights import SMOLLM2
from triptych.weights.architectures import SMOLLM2_REPOSITORY, shipped


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
            words = _vocabulary(config.tokenizer, tokenizer)
        if words is None and config.text.weights is None:
            raise RecipeError("model.text.architecture.vocabulary: give it; the tokenizer is not at hand")
    with torch.device("meta"):
        return build_dual(recipe, tokenizer or _Vocabulary(words or 1), False, encoder, language)


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
        known = _vocabulary(config.tokenizer, None)
        words = None if known is None else known + 1
        if words is None:
            raise RecipeError("model.qformer.vocabulary: give it; the tokenizer is not at hand")
    plain = config.model_copy(update={"qformer": config.qformer.model_copy(update={"weights": None})})
    encoder = meta_encoder(config.encoder, Path(recipe.base), bfloat16_encoder)
    with torch.device("meta"):
        return build_blip2(recipe.model_copy(update={"model": plain}), encoder, tokenizer or _Vocabulary(words or 1))


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
                text = EmbeddedPhrases(table, tokenizer or _Vocabulary(1), config.embed_dim)
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
    vocabulary = shape.vocabulary or _vocabulary(config.tokenizer, tokenizer)
    if vocabulary is None:
        raise RecipeError("model.text.architecture.vocabulary: give it; the tokenizer is not at hand")
    with torch.device("meta"):
        tower = TextTower(shape, config.embed_dim, vocabulary)
    return TowerPhrases(tower, Words(tokenizer or _Vocabulary(vocabulary), shape.max_tokens))


def _vocabulary(uri: str, tokenizer: Any | None) -> int | None:
    """How many ids a tokenizer has, as far as that is known without the network."""
    if tokenizer is not None:
        return len(tokenizer)
    return (shipped("language", SMOLLM2_REPOSITORY) or {}).get("vocab_size") if uri == SMOLLM2 else None


class _Vocabulary:
    """Of a tokenizer nothing but its size; a word is a token."""

    eos_token_id = cls_token_id = sep_token_id = 0
    bos_token_id = None

    def __init__(self, size: int) -> None:
        self.size = size

    def __len__(self) -> int:
        return self.size

    def __call__(self, text: str, **_: Any) -> dict[str, list[int]]:
        return {"input_ids": [0] * length(text, None)}

    def get_added_vocab(self) -> dict[str, int]:
        """With BLIP-2's token among those that are counted."""
        return {DECODE: 0}
