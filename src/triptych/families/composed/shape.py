"""A composed model on the meta device: every shape is real, no number is stored."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch

from triptych.adapters.adapter import Adapter
from triptych.adapters.build import build as build_adapter
from triptych.adapters.config import AdapterOptions, QFormerConfig
from triptych.decoders.config import EmbeddingRegionsConfig
from triptych.encoders.build import build_for
from triptych.encoders.encoder import Encoder
from triptych.encoders.image_encoder import ImageEncoder
from triptych.families.composed.config import composed
from triptych.fusion.build import build as build_fusion
from triptych.grounding.config import RegionsConfig
from triptych.grounding.formats.build import TextRegions
from triptych.grounding.introduce import region_writer
from triptych.language.backbone import LanguageModel
from triptych.language.new_tokens import NewTokens
from triptych.model.composed import MultimodalModel
from triptych.model.pointing import RegionPanel
from triptych.planner.parts import meta_encoder, meta_language
from triptych.planner.tokens import length
from triptych.recipe import Recipe


def build_composed_shape(
    recipe: Recipe, bfloat16_encoder: bool = False, tokenizer: Any | None = None
) -> MultimodalModel:
    """The model of a recipe on the meta device. No weights are read or downloaded.

    Args:
        recipe: What to build.
        bfloat16_encoder: Whether an encoder of `precision: auto` computes in bfloat16 on the device in question.
        tokenizer: The language model's, where it is at hand.

    Raises:
        RecipeError: An architecture is not known here.
    """
    config, base = composed(recipe), Path(recipe.base)
    language = meta_language(config.language, base)
    regions = config.regions
    if regions is not None:
        _introduce(regions, language)
    encoders: dict[str, Encoder] = {}
    adapters: dict[str, Adapter] = {}
    image: ImageEncoder | None = None
    for modality, (encoder_config, adapter_config) in config.media.items():
        if modality == "image":
            encoders[modality] = image = meta_encoder(encoder_config, base, bfloat16_encoder)
        else:
            with torch.device("meta"):
                encoders[modality] = build_for(modality, encoder_config, base)
        adapters[modality] = _adapter(adapter_config, encoders[modality], language, tokenizer)
    with torch.device("meta"):
        fusion = build_fusion(config.fusion, language, 1.0)
    if not isinstance(regions, EmbeddingRegionsConfig):
        return MultimodalModel(language, encoders, adapters, recipe.sequence, fusion)
    region_encoder = meta_encoder(regions.encoder, base, bfloat16_encoder) if regions.encoder is not None else None
    with torch.device("meta"):
        visible = region_encoder if region_encoder is not None else image
        assert visible is not None  # the recipe's check of combinations
        panel = RegionPanel.build(regions, visible, language)
    return MultimodalModel(language, encoders, adapters, recipe.sequence, fusion, panel, region_encoder)


def _introduce(config: RegionsConfig, language: LanguageModel) -> None:
    """The rows of the tokens that regions need; none of them known to a tokenizer, which is not at hand."""
    writer = region_writer(config, None)
    bins = writer.format.bins if isinstance(writer, TextRegions) else 0
    if writer.tokens:
        words = language.embedding.num_embeddings
        starts = torch.zeros(len(writer.tokens) - bins**2, language.dim)
        language.regions = NewTokens(words, starts, bins, torch.zeros(language.dim), 1.0).to("meta")


def _adapter(config: Any, encoder: Encoder, language: LanguageModel, tokenizer: Any | None) -> Adapter:
    if isinstance(config, AdapterOptions):
        # The scale is measured on real numbers, and it is one number: leave it out.
        config = config.model_copy(update={"output_scale": None})
    if isinstance(config, QFormerConfig):
        config = config.model_copy(update={"weights": None})

    def embed_text(text: str) -> torch.Tensor:
        return torch.empty(length(text, tokenizer), language.dim, device="meta")

    def tokenise(text: str) -> list[int]:
        return [0] * length(text, tokenizer)

    tokens = encoder.usual_tokens
    own = config.vocabulary if isinstance(config, QFormerConfig) else None
    words = own or language.embedding.num_embeddings
    with torch.device("meta"):
        return build_adapter(config, encoder.dim, encoder.grid, language.dim, 1.0, embed_text, tokenise, words, tokens)
