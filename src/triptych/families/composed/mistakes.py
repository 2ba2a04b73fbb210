"""Parts of a composed model that do not go together, as far as numbers tell that are known without torch and without a download."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from triptych.adapters.config import AnyAdapterConfig, GridOptions
from triptych.adapters.limits import mistake as adapter_mistake
from triptych.decoders.config import EmbeddingRegionsConfig
from triptych.encoders.config import EncoderConfig
from triptych.encoders.known import LAYERS, WIDTH, Values, known_features, number
from triptych.families.composed.objectives import PhraseAlignment, Regions
from triptych.family import family_that_learns_by
from triptych.fusion.config import PromptConfig
from triptych.language.config import LanguageConfig
from triptych.weights.architectures import peek

if TYPE_CHECKING:
    from triptych.families.composed.config import ModelConfig


def mistakes(recipe: Any) -> Iterator[str]:
    """One line per mistake of a recipe with a composed model."""
    base = Path(recipe.base)
    language = language_values(recipe.model.language, base)
    yield from _fusion(recipe.model, language)
    yield from _adapters(recipe.model, language, base)
    yield from _stages(recipe)


def language_values(config: LanguageConfig, base: Path | None = None) -> Values:
    """The transformers configuration of a language model, as much of it as is known."""
    if config.architecture is not None:
        return config.architecture
    return peek(config.weights or "", "language", base) or {}


def _fusion(model: ModelConfig, language: Values) -> Iterator[str]:
    layers = number(language, LAYERS)
    if layers is not None and (reason := model.fusion.mistake(layers)) is not None:
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
        features = known_features(encoder, base)
        if features is None:
            continue
        grid, class_tokens, dim = features
        if (reason := adapter_mistake(adapter, grid, class_tokens, dim, width)) is not None:
            yield f"model.adapters.{modality}: {reason}"


def _stages(recipe: Any) -> Iterator[str]:
    for i, stage in enumerate(recipe.stages):
        if not recipe.model.learns_by(stage.objective):
            yield (
                f"stages.{i}.objective: `{stage.objective.kind}` is for a model of `kind: {family_that_learns_by(stage.objective)}`; "
                "a composed model learns by `next_token` or `phrase_alignment`"
            )
        yield from _pointing(i, stage, recipe)
        if not isinstance(stage.objective, PhraseAlignment):
            continue
        for j, part in enumerate(stage.train):
            if part.split(".")[0] not in {"adapters", "encoders"}:
                yield (
                    f"stages.{i}.train.{j}: {part!r} learns nothing from `phrase_alignment`, in which no language model "
                    "runs; train `adapters` with it, or take `objective: {kind: next_token}`"
                )
        fusion = recipe.model.fusion
        if isinstance(fusion, PromptConfig) and fusion.early is None:
            yield (
                f"stages.{i}.objective: `phrase_alignment` lets each position of a picture say a word, but `fusion: prompt` "
                "takes the mean of all positions; take `objective: {kind: next_token}`, or `early` in the fusion"
            )


def _pointing(number: int, stage: Any, recipe: Any) -> Iterator[str]:
    """Regions that are decoded from hidden states, and stages that teach them."""
    regions = recipe.model.regions
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
    if isinstance(regions, EmbeddingRegionsConfig) and regions.encoder is None and recipe.model.encoders.image is None:
        yield "model.regions.encoder: the model sees no pictures, so say whose features the decoders look at"
