"""Parts that do not go together, as far as numbers tell that are known without torch and without a download.

What is not known here (weights of the hub that Triptych has never heard of, classes of your own) is checked by the same
functions when the model is built.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from triptych.adapters.config import AnyAdapterConfig, GridOptions
from triptych.adapters.limits import mistake as adapter_mistake
from triptych.decoders.config import EmbeddingRegionsConfig
from triptych.encoders.config import (
    PLAIN_TOWERS,
    EfficientNetConfig,
    EncoderConfig,
    HuggingFaceConfig,
    VisionTransformerConfig,
)
from triptych.fusion.config import PromptConfig
from triptych.fusion.limits import mistake as fusion_mistake
from triptych.language.config import LanguageConfig
from triptych.model.config import Blip2Config, DetectorModelConfig, DualConfig
from triptych.recipe.schema import ModelConfig, Recipe
from triptych.training.config import (
    Blip2Losses,
    Contrastive,
    DetectionLoss,
    MaskedImage,
    PhraseAlignment,
    Regions,
    Sigmoid,
    StageConfig,
)
from triptych.weights.architectures import peek

LAYERS = ("num_hidden_layers", "n_layer", "n_layers", "num_layers", "layers")
"""What transformers' configurations call the number of layers."""

WIDTH = ("hidden_size", "n_embd", "d_model", "embed_dim")
"""What they call the width."""

Values = dict[str, Any]

PAIRED = (Contrastive, Sigmoid, MaskedImage, Blip2Losses)
"""Objectives of pictures paired with texts, for models that are not composed."""


def mistakes(recipe: Recipe) -> list[str]:
    """One line per mistake: `field: what does not go together; what would`."""
    if isinstance(recipe.model, DualConfig):
        return [*_dual(recipe, recipe.model)]
    if isinstance(recipe.model, Blip2Config):
        return [*_blip2(recipe, recipe.model)]
    if isinstance(recipe.model, DetectorModelConfig):
        return [
            f"stages.{i}.objective: a model of `kind: detector` learns by `detection` alone, not by `{stage.objective.kind}`"
            for i, stage in enumerate(recipe.stages)
            if not isinstance(stage.objective, DetectionLoss)
        ]
    base = Path(recipe.base)
    language = language_values(recipe.model.language, base)
    return [*_fusion(recipe.model, language), *_adapters(recipe.model, language, base), *_stages(recipe)]


def language_values(config: LanguageConfig, base: Path | None = None) -> Values:
    """The transformers configuration of a language model, as much of it as is known."""
    if config.architecture is not None:
        return config.architecture
    return peek(config.weights or "", "language", base) or {}


def vision_values(config: HuggingFaceConfig, base: Path | None = None) -> Values:
    """The same of a vision tower."""
    if config.architecture is not None:
        return config.architecture
    return peek(config.weights or "", "vision", base) or {}


def number(values: Values, names: tuple[str, ...]) -> int | None:
    """The first of several names that has a whole number."""
    return next((values[name] for name in names if isinstance(values.get(name), int)), None)


def _fusion(model: ModelConfig, language: Values) -> Iterator[str]:
    layers = number(language, LAYERS)
    if layers is not None and (reason := fusion_mistake(model.fusion, layers)) is not None:
        yield reason
    if isinstance(model.fusion, PromptConfig) and model.fusion.early is None:
        for modality in model.modalities:
            adapter = getattr(model.adapters, modality)
            if isinstance(adapter, GridOptions) and adapter.markers != "none":
                yield (
                    f"model.adapters.{modality}.markers: cells stand behind markers, but `fusion: prompt` takes the mean of "
                    "all of them; set `markers: none`, or fuse by `splice` or `cross_attend`"
                )


def _adapters(model: ModelConfig, language: Values, base: Path) -> Iterator[str]:
    width = None if "word_embed_proj_dim" in language else number(language, WIDTH)
    for modality in model.modalities:
        encoder: EncoderConfig = getattr(model.encoders, modality)
        adapter: AnyAdapterConfig = getattr(model.adapters, modality)
        features = _features(encoder, base)
        if features is None:
            continue
        grid, class_tokens, dim = features
        if (reason := adapter_mistake(adapter, grid, class_tokens, dim, width)) is not None:
            yield f"model.adapters.{modality}: {reason}"


def _features(config: EncoderConfig, base: Path) -> tuple[tuple[int, int], int, int | None] | None:
    """Grid, class tokens in front of it and channels of an encoder's features; None where they are not known."""
    match config:
        case EfficientNetConfig():
            side = -(-config.resolution // 32)
            return (side, side), 0, {"head": 1280, "last": 352, "pyramid": 1600}[config.features]
        case HuggingFaceConfig():
            values = vision_values(config, base)
            if values.get("model_type") not in PLAIN_TOWERS:
                return None  # the grid of others is known when they are built
            own, patch = config.resolution or number(values, ("image_size",)), number(values, ("patch_size",))
            if not own or not patch or own % patch:
                return None
            has_class = not str(values.get("model_type", "")).startswith("siglip")
            cells = own // patch
            return (cells, cells), int(has_class and not config.drop_cls), number(values, WIDTH)
        case VisionTransformerConfig() if config.architecture is not None:
            shape = config.architecture
            cells = (config.resolution or shape.image_size) // shape.patch_size
            return (cells, cells), int(shape.class_token and not config.drop_cls), shape.width
        case _:
            return None


def _stages(recipe: Recipe) -> Iterator[str]:
    for i, stage in enumerate(recipe.stages):
        if isinstance(stage.objective, PAIRED):
            kind = "blip2" if isinstance(stage.objective, Blip2Losses) else "dual"
            yield (
                f"stages.{i}.objective: `{stage.objective.kind}` is for a model of `kind: {kind}`; a composed model learns by "
                "`next_token` or `phrase_alignment`"
            )
        if isinstance(stage.objective, DetectionLoss):
            yield f"stages.{i}.objective: `detection` is for a model of `kind: detector`"
        yield from _pointing(i, stage, recipe)
        if not isinstance(stage.objective, PhraseAlignment):
            continue
        for j, part in enumerate(stage.train):
            if part.split(".")[0] not in {"adapters", "encoders"}:
                yield (
                    f"stages.{i}.train.{j}: {part!r} learns nothing from `phrase_alignment`, in which no language model "
                    "runs; train `adapters` with it, or take `objective: {kind: next_token}`"
                )
        fusion = recipe.composed.fusion
        if isinstance(fusion, PromptConfig) and fusion.early is None:
            yield (
                f"stages.{i}.objective: `phrase_alignment` lets each position of a picture say a word, but `fusion: prompt` "
                "takes the mean of all positions; take `objective: {kind: next_token}`, or `early` in the fusion"
            )


def _pointing(number: int, stage: StageConfig, recipe: Recipe) -> Iterator[str]:
    """Regions that are decoded from hidden states, and stages that teach them."""
    regions = recipe.composed.regions
    embedding = isinstance(regions, EmbeddingRegionsConfig)
    if isinstance(stage.objective, Regions) and not embedding:
        yield (
            f"stages.{number}.objective: `regions` teaches decoders of regions, which only `model.regions: {{kind: embedding}}` "
            "has; take `objective: {kind: next_token}`"
        )
    asks = isinstance(regions, EmbeddingRegionsConfig) and regions.questions
    if "regions" in stage.train and not isinstance(stage.objective, Regions) and not asks:
        yield (
            f"stages.{number}.train: `regions` learns nothing from `{stage.objective.kind}`; set "
            "`objective: {kind: regions}`"
        )
    if isinstance(regions, EmbeddingRegionsConfig) and regions.encoder is None and not recipe.composed.modalities:
        yield "model.regions.encoder: the model sees no pictures, so say whose features the decoders look at"


def _dual(recipe: Recipe, model: DualConfig) -> Iterator[str]:
    for i, stage in enumerate(recipe.stages):
        match stage.objective:
            case Contrastive():
                if model.bias is not None and "logit_scale" in stage.train:
                    yield "model.bias: `contrastive` has no use for a bias, which changes nothing in it; leave it out"
            case Sigmoid():
                if model.bias is None:
                    yield (
                        f"stages.{i}.objective: `sigmoid` needs a bias, or every pair of the batch counts as a match at "
                        "first; set `model.bias: -10` and `model.scale: 10`"
                    )
            case MaskedImage():
                if model.masked_features is None:
                    yield (
                        f"stages.{i}.objective: `masked_image` needs a head; set `model.masked_features` to the number of "
                        "channels of the teacher's features"
                    )
                for j, part in enumerate(stage.train):
                    if part not in {"vision", "masked_head"}:
                        yield f"stages.{i}.train.{j}: {part!r} learns nothing from `masked_image`"
            case _:
                yield (
                    f"stages.{i}.objective: a model of `kind: dual` has no language model to learn by "
                    f"`{stage.objective.kind}`; take `objective: {{kind: contrastive}}`, `sigmoid` or `masked_image`"
                )


def _blip2(recipe: Recipe, model: Blip2Config) -> Iterator[str]:
    features = _features(model.encoder, Path(recipe.base))
    if features is not None:
        grid, class_tokens, dim = features
        if (reason := adapter_mistake(model.qformer, grid, class_tokens, dim)) is not None:
            yield f"model.qformer: {reason}"
    for i, stage in enumerate(recipe.stages):
        if not isinstance(stage.objective, Blip2Losses):
            yield (
                f"stages.{i}.objective: a model of `kind: blip2` learns by `objective: {{kind: blip2}}`, not by "
                f"`{stage.objective.kind}`"
            )
