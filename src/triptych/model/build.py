"""From a recipe to a model, and from a run's folder back to the model that it trained."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TypeVar

import torch

from triptych.adapters.build import build as build_adapter
from triptych.adapters.config import AnyAdapterConfig, QFormerConfig
from triptych.conversation import Image
from triptych.decoders.build import load_weights as load_decoder_weights
from triptych.decoders.config import EmbeddingRegionsConfig
from triptych.encoders.build import build as build_encoder
from triptych.encoders.encoder import Encoder
from triptych.errors import RecipeError, TriptychError, WeightsError
from triptych.fusion.build import build as build_fusion
from triptych.grounding.introduce import introduce_regions
from triptych.language.backbone import LanguageModel
from triptych.language.build import build as build_language
from triptych.language.build import load_tokenizer
from triptych.language.config import LanguageConfig
from triptych.model.blip2 import Blip2
from triptych.model.build_blip2 import build_blip2
from triptych.model.build_detector import build_detector_model
from triptych.model.build_dual import build_dual
from triptych.model.composed import MultimodalModel
from triptych.model.config import Blip2Config, DetectorModelConfig, DualConfig
from triptych.model.detector import OpenVocabularyDetector
from triptych.model.dual import DualEncoder
from triptych.model.pointing import RegionPanel
from triptych.model.saved import load_weights, names_of
from triptych.model.trainable import Trainable
from triptych.recipe import Recipe, load_recipe
from triptych.recipe.schema import ModelConfig
from triptych.weights import fetch
from triptych.weights.run_folder import is_run, weights_file
from triptych.weights.tensor_files import read_tensors

Model = TypeVar("Model", bound=Trainable)


def build_any(recipe: Recipe) -> MultimodalModel | DualEncoder | Blip2 | OpenVocabularyDetector:
    """The model of a recipe, of whatever kind."""
    if isinstance(recipe.model, Blip2Config):
        return build_blip2(recipe)
    if isinstance(recipe.model, DetectorModelConfig):
        return build_detector_model(recipe)
    return build_dual(recipe) if isinstance(recipe.model, DualConfig) else build(recipe)


def build(recipe: Recipe) -> MultimodalModel:
    """The composed model of a recipe, pretrained parts loaded, new parts drawn from the recipe's seed.

    Raises:
        WeightsError: Weights cannot be found or read.
        RecipeError: Parts do not go together.
    """
    config, base = recipe.composed, Path(recipe.base)
    torch.manual_seed(recipe.seed)
    language = build_language(config.language, base)
    limit = language.max_positions
    if limit is not None and recipe.sequence.max_tokens > limit:
        raise RecipeError(
            f"sequence.max_tokens: {recipe.sequence.max_tokens} is more than the language model's {limit}"
        )
    spread = float(language.embedding.weight.detach().float().std())
    encoders, adapters = {}, {}
    for modality in config.modalities:
        encoder = build_encoder(getattr(config.encoders, modality), base)
        encoder.requires_grad_(False).eval()
        encoders[modality] = encoder
        adapters[modality] = build_adapter(
            getattr(config.adapters, modality),
            encoder.dim,
            encoder.grid,
            language.dim,
            spread,
            language.embed_text,
            *_reading(getattr(config.adapters, modality), language, base),
            usual_tokens(encoder),
            base,
        )
    if config.regions is not None:
        introduce_regions(config.regions, language, encoders["image"].preparation if encoders else None)
    fusion = build_fusion(config.fusion, language, spread)
    panel, region_encoder = _regions(config, language, encoders, base)
    model = MultimodalModel(language, encoders, adapters, recipe.sequence, fusion, panel, region_encoder)
    if config.start is not None:
        _start_from(model, config.start, base)
    return model


def _regions(
    config: ModelConfig, language: LanguageModel, encoders: Mapping[str, Encoder], base: Path
) -> tuple[RegionPanel | None, Encoder | None]:
    """The decoders of regions, and the encoder of their own that they look at; None where the model has none."""
    if not isinstance(config.regions, EmbeddingRegionsConfig):
        return None, None
    region_encoder = build_encoder(config.regions.encoder, base) if config.regions.encoder is not None else None
    if region_encoder is not None:
        region_encoder.requires_grad_(False).eval()
    panel = RegionPanel.build(
        config.regions, region_encoder if region_encoder is not None else encoders["image"], language
    )
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
    if before.composed.start is not None:
        _start_from(model, before.composed.start, Path(before.base))
    trained(model, run, before, _new_since(before.composed, model))


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
        return encoder.tokens(Image(b""))
    except TriptychError:
        return None


def load_run(run: Path) -> tuple[MultimodalModel, Recipe]:
    """The trained composed model of a run and its recipe.

    Raises:
        WeightsError: The folder is no finished run.
        RecipeError: Its model is of another kind.
    """
    recipe = recipe_of(run)
    if isinstance(recipe.model, DetectorModelConfig):
        raise RecipeError(
            f"{run}: a model of `kind: detector` finds what it is told the name of and answers nothing. What works: "
            f'`triptych evaluate {run}` and `triptych ground {run} "the dog" --image PICTURE`; a language model calls it by '
            f"`model.regions: {{kind: call, detector: {{kind: trained, weights: run:{run}}}}}`"
        )
    if not isinstance(recipe.model, ModelConfig):
        raise RecipeError(
            f"{run}: a model of `kind: {recipe.model.kind}` compares pictures with texts and answers nothing. What works: "
            f"`triptych evaluate {run}`"
            + (
                f', `triptych match {run} --image PICTURE "a text" "another"`, and in Python '
                f'`triptych.load_dual("{run}").similarity(pictures, texts)`'
                if isinstance(recipe.model, DualConfig)
                else ""
            )
            + "; as the encoder of another recipe it helps a language model to answer (`weights: run:…`)"
        )
    return trained(build(recipe), run, recipe).eval(), recipe


def load_dual_run(run: Path) -> tuple[DualEncoder, Recipe]:
    """The trained dual encoder of a run and its recipe.

    Raises:
        WeightsError: The folder is no finished run.
        RecipeError: Its model is of another kind.
    """
    recipe = recipe_of(run)
    if not isinstance(recipe.model, DualConfig):
        raise RecipeError(
            f"{run}: its model is of `kind: {recipe.model.kind}`; this works with dual encoders (`kind: dual`)"
        )
    return trained(build_dual(recipe), run, recipe).eval(), recipe


def load_detector_run(run: Path) -> tuple[OpenVocabularyDetector, Recipe]:
    """The trained detector of a run and its recipe.

    Raises:
        WeightsError: The folder is no finished run.
        RecipeError: Its model is of another kind.
    """
    recipe = recipe_of(run)
    return trained(build_detector_model(recipe), run, recipe).eval(), recipe


def load_blip2_run(run: Path) -> tuple[Blip2, Recipe]:
    """The trained first stage of BLIP-2 of a run, and its recipe.

    Raises:
        WeightsError: The folder is no finished run.
        RecipeError: Its model is of another kind.
    """
    recipe = recipe_of(run)
    return trained(build_blip2(recipe), run, recipe).eval(), recipe


def recipe_of(run: Path) -> Recipe:
    """The recipe of a finished run.

    Raises:
        WeightsError: The folder is no finished run.
    """
    if not is_run(run):
        raise WeightsError(f"{run}: not a run's folder (no recipe.yaml); train one with `triptych train RECIPE`")
    weights_file(run)
    return load_recipe(run / "recipe.yaml")


def trained(model: Model, run: Path, recipe: Recipe, may_lack: Sequence[str] = ()) -> Model:
    """The model with the weights of a run in place, all that it trained and all that came from no weights.

    Args:
        model: Of the run's recipe, or one that starts from the run.
        run: Its folder.
        recipe: The run's.
        may_lack: Patterns of tensors that the model has and the run's did not.

    Raises:
        WeightsError: They cannot be read, are not all there, or belong to another model.
    """
    file = weights_file(run)
    load_weights(model, names_of(model, recipe.stages), read_tensors(file, str(run)), str(file), may_lack)
    return model
