"""A recipe's model on the meta device: every shape is real, no number is stored."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from triptych.adapters.adapter import Adapter
from triptych.adapters.build import build as build_adapter
from triptych.adapters.config import AdapterOptions, QFormerConfig
from triptych.conversation import Image
from triptych.custom import CustomConfig
from triptych.decoders.config import EmbeddingRegionsConfig
from triptych.encoders.build import build as build_encoder
from triptych.encoders.config import (
    EfficientNetConfig,
    EncoderConfig,
    HuggingFaceConfig,
    SamConfig,
    VisionTransformerConfig,
)
from triptych.encoders.encoder import Encoder
from triptych.fusion.build import build as build_fusion
from triptych.grounding.config import RegionsConfig
from triptych.grounding.formats.build import TextRegions
from triptych.grounding.introduce import region_writer
from triptych.language.backbone import LanguageModel
from triptych.language.build import insert_lora, random_model
from triptych.language.config import LanguageConfig
from triptych.language.new_tokens import NewTokens
from triptych.language.probe import prepare
from triptych.model.composed import MultimodalModel
from triptych.model.config import Blip2Config, DetectorModelConfig
from triptych.model.pointing import RegionPanel
from triptych.model.trainable import Trainable
from triptych.planner.architectures import language_architecture, sam_architecture, vision_architecture, vision_shape
from triptych.planner.tokens import length
from triptych.recipe import Recipe
from triptych.recipe.schema import ModelConfig
from triptych.training.parts import describe_parts


@dataclass(frozen=True)
class Part:
    """A part of the model.

    Args:
        name: `encoders.image`, `adapters.image`, `language`, `language.lora`.
        parameters: How many it has.
        precision: Of its parameters.
        bytes: That they take.
        whole: Parameters of the published tower where layers of it are cut off; else None.
    """

    name: str
    parameters: int
    precision: str
    bytes: int
    whole: int | None


def build(recipe: Recipe, bfloat16_encoder: bool, tokenizer: Any | None = None) -> MultimodalModel:
    """The model of a recipe on the meta device. No weights are read or downloaded.

    Args:
        recipe: What to build.
        bfloat16_encoder: Whether an encoder of `precision: auto` computes in bfloat16 on the device in question.
        tokenizer: The language model's, where it is at hand.

    Raises:
        RecipeError: An architecture is not known here.
    """
    base = Path(recipe.base)
    language = meta_language(recipe.composed.language, base)
    if recipe.composed.regions is not None:
        _introduce(recipe.composed.regions, language)
    encoders: dict[str, Encoder] = {}
    adapters: dict[str, Adapter] = {}
    for modality in recipe.composed.modalities:
        encoder = meta_encoder(getattr(recipe.composed.encoders, modality), base, bfloat16_encoder)
        encoders[modality] = encoder
        adapters[modality] = _adapter(getattr(recipe.composed.adapters, modality), encoder, language, tokenizer)
    with torch.device("meta"):
        fusion = build_fusion(recipe.composed.fusion, language, 1.0)
    regions = recipe.composed.regions
    if not isinstance(regions, EmbeddingRegionsConfig):
        return MultimodalModel(language, encoders, adapters, recipe.sequence, fusion)
    region_encoder = meta_encoder(regions.encoder, base, bfloat16_encoder) if regions.encoder is not None else None
    with torch.device("meta"):
        panel = RegionPanel.build(
            regions, region_encoder if region_encoder is not None else encoders["image"], language
        )
    return MultimodalModel(language, encoders, adapters, recipe.sequence, fusion, panel, region_encoder)


def learning(model: Trainable) -> dict[str, int]:
    """The parts of a frozen model (`freeze`) that learn, and how many of their parameters do."""
    return {state.part: state.trained for state in describe_parts(model) if state.trained}


def parts_of(model: Trainable, recipe: Recipe) -> list[Part]:
    """The parts of a model, in the order of the table that training prints."""
    found = []
    for state in describe_parts(model):
        parameters = [parameter for _, parameter in model.part(state.part)]
        size = sum(parameter.numel() * parameter.element_size() for parameter in parameters)
        encoder = _encoder_of(recipe, state.part)
        whole = _whole(encoder, Path(recipe.base)) if encoder is not None else None
        precision = ", ".join(sorted({str(p.dtype).removeprefix("torch.") for p in parameters}))
        found.append(Part(state.part, state.parameters, precision, size, whole if whole != state.parameters else None))
    return found


def _encoder_of(recipe: Recipe, part: str) -> EncoderConfig | None:
    """What a recipe says about a part that is an encoder."""
    match recipe.model, part.split("."):
        case ModelConfig() as config, ["encoders", modality]:
            found: EncoderConfig | None = getattr(config.encoders, modality)
            return found
        case Blip2Config() as config, ["encoder"]:
            return config.encoder
        case DetectorModelConfig() as config, ["vision"]:
            return config.vision
    return None


def meta_language(config: LanguageConfig, base: Path) -> LanguageModel:
    """A language model of which only the shapes are real; it has no tokenizer."""
    architecture = language_architecture(config, base)
    with torch.device("meta"):
        model = random_model(architecture, getattr(torch, config.precision))
        model.config.use_cache = False
        capabilities = prepare(model)
        if config.lora is not None:
            model = insert_lora(model, config.lora)
    tokenizer: Any = None  # a plan reads no text
    return LanguageModel(model, tokenizer, tokenizer, capabilities)


def _introduce(config: RegionsConfig, language: LanguageModel) -> None:
    """The rows of the tokens that regions need; none of them known to a tokenizer, which is not at hand."""
    writer = region_writer(config, None)
    bins = writer.format.bins if isinstance(writer, TextRegions) else 0
    if writer.tokens:
        words = language.embedding.num_embeddings
        starts = torch.zeros(len(writer.tokens) - bins**2, language.dim)
        language.regions = NewTokens(words, starts, bins, torch.zeros(language.dim), 1.0).to("meta")


def meta_encoder(config: EncoderConfig, base: Path, bfloat16: bool) -> Encoder:
    """An encoder of which only the shapes are real; `bfloat16` is what `precision: auto` means."""
    precision = "bfloat16" if bfloat16 else "float32"
    match config:
        case EfficientNetConfig():
            chosen = precision if config.precision == "auto" else config.precision
            config = config.model_copy(update={"weights": None, "precision": chosen})
        case HuggingFaceConfig():
            chosen = precision if config.precision == "auto" else config.precision
            architecture = vision_architecture(config, base)
            config = config.model_copy(update={"weights": None, "architecture": architecture, "precision": chosen})
        case VisionTransformerConfig():
            chosen = precision if config.precision == "auto" else config.precision
            shape = config.architecture or vision_shape(config, base)
            config = config.model_copy(update={"weights": None, "architecture": shape, "precision": chosen})
        case SamConfig():
            chosen = precision if config.precision == "auto" else config.precision
            values = config.architecture if config.architecture is not None else sam_architecture(config, base)
            config = config.model_copy(update={"weights": None, "architecture": values, "precision": chosen})
        case CustomConfig():
            pass
    with torch.device("meta"):
        return build_encoder(config, base)


def _whole(config: EncoderConfig, base: Path) -> int | None:
    """Parameters of the whole tower where a recipe takes the features from a layer inside it."""
    if not isinstance(config, HuggingFaceConfig | VisionTransformerConfig) or config.layer == "output":
        return None
    whole = meta_encoder(config.model_copy(update={"layer": "output"}), base, False)
    return sum(parameter.numel() for parameter in whole.parameters())


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

    tokens = encoder.tokens(Image(b""))
    own = config.vocabulary if isinstance(config, QFormerConfig) else None
    words = own or language.embedding.num_embeddings
    with torch.device("meta"):
        return build_adapter(config, encoder.dim, encoder.grid, language.dim, 1.0, embed_text, tokenise, words, tokens)
