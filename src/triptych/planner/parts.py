"""Parts of a recipe's model on the meta device: every shape is real, no number is stored."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from triptych.encoders.build import build as build_encoder
from triptych.encoders.config import (
    EfficientNetConfig,
    EncoderConfig,
    HuggingFaceConfig,
    SamConfig,
    VisionTransformerConfig,
)
from triptych.encoders.image_encoder import ImageEncoder
from triptych.language.backbone import LanguageModel
from triptych.language.build import insert_lora, random_model
from triptych.language.config import LanguageConfig
from triptych.language.probe import prepare
from triptych.model.trainable import Trainable
from triptych.planner.architectures import language_architecture, sam_architecture, vision_architecture, vision_shape
from triptych.recipe import Recipe
from triptych.registry import CustomConfig
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


def learning(model: Trainable) -> dict[str, int]:
    """The parts of a frozen model (`freeze`) that learn, and how many of their parameters do."""
    return {state.part: state.trained for state in describe_parts(model) if state.trained}


def parts_of(model: Trainable, recipe: Recipe) -> list[Part]:
    """The parts of a model, in the order of the table that training prints."""
    found = []
    for state in describe_parts(model):
        parameters = [parameter for _, parameter in model.part(state.part)]
        size = sum(parameter.numel() * parameter.element_size() for parameter in parameters)
        encoder = recipe.model.encoder_of(state.part)
        whole = _whole(encoder, Path(recipe.base)) if encoder is not None else None
        precision = ", ".join(sorted({str(p.dtype).removeprefix("torch.") for p in parameters}))
        found.append(Part(state.part, state.parameters, precision, size, whole if whole != state.parameters else None))
    return found


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


def meta_encoder(config: EncoderConfig, base: Path, bfloat16: bool) -> ImageEncoder:
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
