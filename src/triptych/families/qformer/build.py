"""From a recipe to BLIP-2's first stage."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch

from triptych.adapters.limits import mistake
from triptych.adapters.qformer_reader import QFormerReader
from triptych.encoders.build import build as build_encoder
from triptych.encoders.image_encoder import ImageEncoder
from triptych.errors import RecipeError
from triptych.families.qformer.config import Blip2Config
from triptych.families.qformer.model import Blip2
from triptych.formats.qformer import load_qformer
from triptych.language.build import tokenizer_at
from triptych.recipe import Recipe
from triptych.sequence.read_words import ReadWords
from triptych.weights.accounting import fill, places_of


def build_blip2(recipe: Recipe, encoder: ImageEncoder | None = None, tokenizer: Any | None = None) -> Blip2:
    """The model of a recipe, its encoder loaded, all else drawn from the recipe's seed.

    Args:
        recipe: Whose `model` is of `kind: blip2`.
        encoder: Instead of the recipe's.
        tokenizer: Likewise.

    Raises:
        WeightsError: Weights or the tokenizer cannot be found or read.
        RecipeError: Parts do not go together.
    """
    config, base = recipe.model, Path(recipe.base)
    if not isinstance(config, Blip2Config):
        raise RecipeError("model: expected `kind: blip2`")
    torch.manual_seed(recipe.seed)
    tokenizer = tokenizer if tokenizer is not None else tokenizer_at(config.tokenizer, base)
    try:
        words = ReadWords(tokenizer, config.max_tokens)
    except ValueError as error:
        raise RecipeError(f"model.tokenizer: {config.tokenizer}: {error}") from error
    encoder = encoder if encoder is not None else build_encoder(config.encoder, base)
    beside = encoder.usual_tokens - encoder.grid[0] * encoder.grid[1]
    if (reason := mistake(config.qformer, encoder.grid, beside, encoder.dim)) is not None:
        raise RecipeError(f"model.qformer: {reason}")
    vocabulary = config.qformer.vocabulary or words.vocabulary
    if vocabulary < words.vocabulary:
        raise RecipeError(
            f"model.qformer.vocabulary: {vocabulary} are fewer than the tokenizer's {words.vocabulary}, [DEC] among them"
        )
    reader = QFormerReader(config.qformer, encoder.dim, encoder.grid, vocabulary)
    model = Blip2(encoder, reader, words, config.embed_dim, scale=config.scale, largest_scale=config.largest_scale)
    if config.qformer.weights is not None:
        found = load_qformer(reader, config.qformer.weights, base)
        heads = {name.removeprefix("heads."): found[name] for name in found if name.startswith("heads.")}
        if heads:  # a Q-Former of a second stage has none
            fill(places_of(model.heads), heads, f"weights {config.qformer.weights}: heads")
    for part in (model.reader, model.heads):
        part.to(getattr(torch, config.precision))
    return model.eval()
