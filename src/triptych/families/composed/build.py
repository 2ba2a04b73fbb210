"""From a recipe to a composed model."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import torch

from triptych.adapters.adapter import Adapter
from triptych.adapters.build import build as build_adapter
from triptych.adapters.config import AnyAdapterConfig, QFormerConfig
from triptych.decoders.build import load_weights as load_decoder_weights
from triptych.decoders.config import EmbeddingRegionsConfig
from triptych.encoders.build import build as build_encoder
from triptych.encoders.build import build_for
from triptych.encoders.encoder import Encoder
from triptych.encoders.image_encoder import ImageEncoder
from triptych.errors import RecipeError, TriptychError
from triptych.families.composed.config import ModelConfig, composed
from triptych.fusion.build import build as build_fusion
from triptych.grounding.introduce import introduce_regions
from triptych.language.backbone import LanguageModel
from triptych.language.build import build as build_language
from triptych.language.build import load_tokenizer
from triptych.language.config import LanguageConfig
from triptych.model.build import recipe_of, trained
from triptych.model.composed import MultimodalModel
from triptych.model.pointing import RegionPanel
from triptych.recipe import Recipe
from triptych.weights import fetch


def build(recipe: Recipe) -> MultimodalModel:
    """The composed model of a recipe, pretrained parts loaded, new parts drawn from the recipe's seed.

    Raises:
        WeightsError: Weights cannot be found or read.
        RecipeError: Parts do not go together.
    """
    config, base = composed(recipe), Path(recipe.base)
    torch.manual_seed(recipe.seed)
    language = build_language(config.language, base)
    limit = language.max_positions
    if limit is not None and recipe.sequence.max_tokens > limit:
        raise RecipeError(
            f"sequence.max_tokens: {recipe.sequence.max_tokens} is more than the language model's {limit}"
        )
    spread = float(language.embedding.weight.detach().float().std())
    encoders: dict[str, Encoder] = {}
    adapters: dict[str, Adapter] = {}
    for modality, (encoder_config, adapter_config) in config.media.items():
        encoder = build_for(modality, encoder_config, base)
        encoder.requires_grad_(False).eval()
        encoders[modality] = encoder
        adapters[modality] = build_adapter(
            adapter_config,
            encoder.dim,
            encoder.grid,
            language.dim,
            spread,
            language.embed_text,
            *_reading(adapter_config, language, base),
            usual_tokens(encoder),
            base,
        )
    image = encoders.get("image")
    assert image is None or isinstance(image, ImageEncoder)
    if config.regions is not None:
        introduce_regions(config.regions, language, image.preparation if image is not None else None)
    fusion = build_fusion(config.fusion, language, spread)
    panel, region_encoder = _regions(config, language, image, base)
    model = MultimodalModel(language, encoders, adapters, recipe.sequence, fusion, panel, region_encoder)
    if config.start is not None:
        _start_from(model, config.start, base)
    return model


def _regions(
    config: ModelConfig, language: LanguageModel, image: ImageEncoder | None, base: Path
) -> tuple[RegionPanel | None, ImageEncoder | None]:
    """The decoders of regions, and the encoder of their own that they look at; None where the model has none."""
    if not isinstance(config.regions, EmbeddingRegionsConfig):
        return None, None
    region_encoder = build_encoder(config.regions.encoder, base) if config.regions.encoder is not None else None
    if region_encoder is not None:
        region_encoder.requires_grad_(False).eval()
    visible = region_encoder if region_encoder is not None else image
    assert visible is not None  # the recipe's check of combinations
    panel = RegionPanel.build(config.regions, visible, language)
    load_decoder_weights(panel.decoder, config.regions, base)
    panel.requires_grad_(False)
    return panel, region_encoder


def _start_from(model: MultimodalModel, uri: str, base: Path) -> None:
    """Put the weights of a run in place, over those that it started from itself.

    Raises:
        WeightsError: They cannot be read, or belong to another model.
    """
    run = fetch(uri, base=base)
    before = recipe_of(run)
    if composed(before).start is not None:
        _start_from(model, composed(before).start or "", Path(before.base))
    trained(model, run, before, _new_since(composed(before), model))


def _new_since(before: ModelConfig, model: MultimodalModel) -> list[str]:
    """Patterns of what a model has and one of an earlier recipe had not."""
    new = [f"adapters.{modality}.*" for modality in model.adapters if modality not in before.modalities]
    new += ["fusion.*"] if before.fusion.kind == "splice" else []
    return new + (["regions.*", "language.regions.*"] if before.regions is None else [])


def _reading(adapter: AnyAdapterConfig, language: LanguageModel, base: Path) -> tuple[Callable[[str], list[int]], int]:
    """How an adapter that reads text makes ids of it, and how many ids there are: the language model's way, or its own."""
    if isinstance(adapter, QFormerConfig) and adapter.tokenizer is not None:
        own = load_tokenizer(LanguageConfig(weights=adapter.tokenizer), base)
        return lambda text: list(own(text)["input_ids"]), adapter.vocabulary or len(own)
    tokenizer = language.tokenizer
    words = language.embedding.num_embeddings
    return lambda text: list(tokenizer(text, add_special_tokens=False)["input_ids"]), words


def usual_tokens(encoder: Encoder) -> int | None:
    """Positions of the features of any medium; None where they depend on the medium."""
    try:
        return encoder.usual_tokens
    except TriptychError:
        return None
