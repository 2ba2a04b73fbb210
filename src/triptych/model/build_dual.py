"""From a recipe to a dual encoder."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch

from triptych.encoders import checkpoints
from triptych.encoders.checkpoints import Shapes, Weights
from triptych.encoders.preparation import ImagePreparation, mean_colour
from triptych.encoders.text_transformer import TextTower
from triptych.encoders.vit import PIXELS, VisionTower
from triptych.errors import RecipeError, WeightsError
from triptych.language.build import load_tokenizer
from triptych.language.config import LanguageConfig
from triptych.model.config import DualConfig
from triptych.model.dual import DualEncoder
from triptych.recipe import Recipe
from triptych.sequence.pairs import Words


def build_dual(recipe: Recipe, tokenizer: Any | None = None, weights: bool = True) -> DualEncoder:
    """The dual encoder of a recipe, pretrained towers loaded, others drawn from the recipe's seed.

    Args:
        recipe: Whose `model` is of `kind: dual`.
        tokenizer: Instead of the recipe's.
        weights: Whether weights are read; without them only their shapes are.

    Raises:
        WeightsError: Weights or the tokenizer cannot be found or read.
        RecipeError: Nobody says what shape a tower has, or parts do not go together.
    """
    config, base = recipe.model, Path(recipe.base)
    if not isinstance(config, DualConfig):
        raise RecipeError("model: expected `kind: dual`")
    torch.manual_seed(recipe.seed)
    read = {uri: checkpoints.read(uri, base) for uri in _uris(config) if weights}
    shapes = {uri: read[uri].shapes if weights else checkpoints.shapes(uri, base) for uri in _uris(config)}
    seen = shapes[config.vision.weights] if config.vision.weights else Shapes()
    said = shapes[config.text.weights] if config.text.weights else Shapes()
    vision_shape = config.vision.architecture or seen.vision
    text_shape = config.text.architecture or said.text
    embed_dim = config.embed_dim or seen.embed_dim or said.embed_dim
    for value, field in (
        (vision_shape, "vision.architecture"),
        (text_shape, "text.architecture"),
        (embed_dim, "embed_dim"),
    ):
        if value is None:
            raise RecipeError(f"model.{field}: the weights do not tell it; give it")
    assert vision_shape is not None and text_shape is not None and embed_dim is not None
    size = config.vision.resolution or vision_shape.image_size
    if size % vision_shape.patch_size:
        raise RecipeError(
            f"model.vision.resolution: {size} is not a multiple of the tower's patches of {vision_shape.patch_size} pixels"
        )
    if config.masked_features is not None and not vision_shape.mask_token:
        raise RecipeError("model.masked_features needs a tower with `mask_token: true`")
    words = Words(tokenizer if tokenizer is not None else _tokenizer(config, base), text_shape.max_tokens)
    if words.tokenizer.eos_token_id is None:
        raise RecipeError(f"model.tokenizer: {config.tokenizer} has no end token, at which texts are read")
    if text_shape.vocabulary is not None and words.vocabulary > text_shape.vocabulary:
        raise RecipeError(
            f"model.text.architecture.vocabulary: {text_shape.vocabulary} are fewer than the tokenizer's {words.vocabulary}"
        )
    vision = VisionTower(vision_shape, embed_dim, patch_dropout=config.vision.patch_dropout)
    text = TextTower(text_shape, embed_dim, words.vocabulary)
    model = DualEncoder(
        vision,
        text,
        words,
        ImagePreparation(size, config.vision.fit, mean_colour(PIXELS[vision_shape.pixels][0])),
        scale=config.scale,
        largest_scale=config.largest_scale,
        bias=config.bias,
        masked_features=config.masked_features,
        saved=_saved(config),
    )
    if weights:
        _load(model, config, read)
    dtype = getattr(torch, config.precision)
    for part in (model.vision, model.text, model.masked_head):
        if part is not None:
            part.to(dtype)
    return model.eval()


def _uris(config: DualConfig) -> list[str]:
    return list(dict.fromkeys(uri for uri in (config.vision.weights, config.text.weights) if uri is not None))


def _load(model: DualEncoder, config: DualConfig, read: dict[str, Weights]) -> None:
    """Towers from their weights; scale and bias where both towers come from one place."""
    if config.vision.weights is not None:
        checkpoints.load(model.vision, read[config.vision.weights], "vision")
    if config.text.weights is not None:
        checkpoints.load(model.text, read[config.text.weights], "text")
    if config.vision.weights is not None and config.vision.weights == config.text.weights:
        state = read[config.vision.weights].state
        with torch.no_grad():
            for name in ("logit_scale", "logit_bias"):
                own = getattr(model, name)
                if own is not None and name in state:
                    own.copy_(state[name].reshape(()))


def _saved(config: DualConfig) -> tuple[str, ...]:
    saved = ["logit_scale", "logit_bias", "masked_head."]
    saved += [f"{side}." for side in ("vision", "text") if getattr(config, side).weights is None]
    return tuple(saved)


def _tokenizer(config: DualConfig, base: Path) -> Any:
    try:
        return load_tokenizer(LanguageConfig(weights=config.tokenizer), base)
    except WeightsError as error:
        raise WeightsError(f"model.tokenizer: {error}") from error
