"""From a recipe to a dual encoder."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch

from triptych.encoders import checkpoints
from triptych.encoders.build import build as build_encoder
from triptych.encoders.checkpoints import Shapes, Weights
from triptych.encoders.image_encoder import ImageEncoder
from triptych.encoders.preparation import ImagePreparation, mean_colour
from triptych.encoders.text_transformer import TextTower
from triptych.encoders.vit import PIXELS, VisionTower
from triptych.errors import RecipeError
from triptych.families.dual.config import DualConfig, FrozenImageConfig, FrozenTextConfig
from triptych.families.dual.frozen import FrozenImages, FrozenTexts
from triptych.families.dual.model import DualEncoder
from triptych.language.backbone import LanguageModel
from triptych.language.build import build as build_language
from triptych.language.build import tokenizer_at
from triptych.recipe import Recipe
from triptych.sequence.pairs import Words


def build_dual(
    recipe: Recipe,
    tokenizer: Any | None = None,
    weights: bool = True,
    encoder: ImageEncoder | None = None,
    language: LanguageModel | None = None,
) -> DualEncoder:
    """The dual encoder of a recipe, pretrained sides loaded, others drawn from the recipe's seed.

    Args:
        recipe: Whose `model` is of `kind: dual`.
        tokenizer: Instead of the recipe's.
        weights: Whether weights are read; without them only their shapes are.
        encoder: The image side's frozen encoder, where it is built already.
        language: The text side's frozen language model, likewise.

    Raises:
        WeightsError: Weights or the tokenizer cannot be found or read.
        RecipeError: Nobody says what shape a tower has, or parts do not go together.
    """
    config, base = recipe.model, Path(recipe.base)
    if not isinstance(config, DualConfig):
        raise RecipeError("model: expected `kind: dual`")
    torch.manual_seed(recipe.seed)
    read = {uri: checkpoints.read(uri, base) for uri in config.origins if weights}
    shapes = {uri: read[uri].shapes if weights else checkpoints.shapes(uri, base) for uri in config.origins}
    embed_dim = config.embed_dim or next((found.embed_dim for found in shapes.values() if found.embed_dim), None)
    if embed_dim is None:
        raise _untold("embed_dim")
    vision, preparation = _images(config, base, shapes, embed_dim, encoder)
    text, words = _texts(config, base, shapes, embed_dim, tokenizer, language)
    model = DualEncoder(
        vision,
        text,
        words,
        preparation,
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
        if part is not None and not isinstance(part, FrozenImages | FrozenTexts):
            part.to(dtype)
    return model.eval()


def _images(
    config: DualConfig, base: Path, shapes: dict[str, Shapes], embed_dim: int, encoder: ImageEncoder | None
) -> tuple[VisionTower | FrozenImages, ImagePreparation]:
    """The image side, and what makes its pixels."""
    side = config.vision
    if isinstance(side, FrozenImageConfig):
        found = encoder if encoder is not None else build_encoder(side.encoder, base)
        return FrozenImages(found, embed_dim, side), found.preparation
    shape = side.architecture or (shapes[side.weights].vision if side.weights else None)
    if shape is None:
        raise _untold("vision.architecture")
    size = side.resolution or shape.image_size
    if size % shape.patch_size:
        raise RecipeError(
            f"model.vision.resolution: {size} is not a multiple of the tower's patches of {shape.patch_size} pixels"
        )
    if config.masked_features is not None and not shape.mask_token:
        raise RecipeError("model.masked_features needs a tower with `mask_token: true`")
    preparation = ImagePreparation(size, side.fit, mean_colour(PIXELS[shape.pixels][0]), background=side.background)
    return VisionTower(shape, embed_dim, patch_dropout=side.patch_dropout), preparation


def _texts(
    config: DualConfig,
    base: Path,
    shapes: dict[str, Shapes],
    embed_dim: int,
    tokenizer: Any | None,
    language: LanguageModel | None,
) -> tuple[TextTower | FrozenTexts, Words]:
    """The text side, and what makes its ids."""
    side = config.text
    if isinstance(side, FrozenTextConfig):
        model = language if language is not None else build_language(side.language, base)
        words = _words(tokenizer if tokenizer is not None else model.tokenizer, side.max_tokens, side.language.weights)
        return FrozenTexts(model, embed_dim, side, words.tokenizer.bos_token_id), words
    shape = side.architecture or (shapes[side.weights].text if side.weights else None)
    if shape is None:
        raise _untold("text.architecture")
    words = _words(
        tokenizer if tokenizer is not None else tokenizer_at(config.tokenizer, base), shape.max_tokens, config.tokenizer
    )
    if shape.vocabulary is not None and words.vocabulary > shape.vocabulary:
        raise RecipeError(
            f"model.text.architecture.vocabulary: {shape.vocabulary} are fewer than the tokenizer's {words.vocabulary}"
        )
    return TextTower(shape, embed_dim, words.vocabulary), words


def _words(tokenizer: Any, max_tokens: int, name: str | None) -> Words:
    if tokenizer.eos_token_id is None:
        raise RecipeError(f"model.tokenizer: {name} has no end token, at which texts are read")
    return Words(tokenizer, max_tokens)


def _untold(field: str) -> RecipeError:
    return RecipeError(f"model.{field}: the weights do not tell it; give it")


def _load(model: DualEncoder, config: DualConfig, read: dict[str, Weights]) -> None:
    """Towers from their weights; scale and bias where both towers come from one place."""
    origins = [
        None if isinstance(side, FrozenImageConfig | FrozenTextConfig) else side.weights
        for side in (config.vision, config.text)
    ]
    for name, module, origin in zip(("vision", "text"), (model.vision, model.text), origins, strict=True):
        if origin is not None:
            checkpoints.load(module, read[origin], name)
    if origins[0] is not None and origins[0] == origins[1]:
        state = read[origins[0]].state
        with torch.no_grad():
            for name in ("logit_scale", "logit_bias"):
                own = getattr(model, name)
                if own is not None and name in state:
                    own.copy_(state[name].reshape(()))


def _saved(config: DualConfig) -> tuple[str, ...]:
    saved = ["logit_scale", "logit_bias", "masked_head."]
    for name, side in (("vision", config.vision), ("text", config.text)):
        if isinstance(side, FrozenImageConfig | FrozenTextConfig):
            saved.append(f"{name}.head.")
        elif side.weights is None:
            saved.append(f"{name}.")
    return tuple(saved)
