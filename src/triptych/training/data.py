"""What a stage reads: its sources mixed, its media encoded once, its validation set."""

from __future__ import annotations

import math
import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from triptych.conversation import Image
from triptych.data.detection import DetectionReader
from triptych.data.features import FeatureCache, encode_missing
from triptych.data.loader import Inputs, Reader, StepData
from triptych.data.mixture import Mixture
from triptych.data.pairs import PairReader
from triptych.data.reading import read_record
from triptych.data.sources import Source
from triptych.data.sources import build as build_source
from triptych.encoders.encoder import Encoder
from triptych.errors import DataError
from triptych.kernels.packed import release
from triptych.language.template import ChatTemplate
from triptych.model.blip2 import Blip2
from triptych.model.composed import MultimodalModel
from triptych.model.detector import OpenVocabularyDetector
from triptych.model.dual import DualEncoder
from triptych.model.trainable import Trainable
from triptych.recipe import Recipe
from triptych.training.config import MaskedImage, PhraseAlignment, StageConfig
from triptych.training.progress import Console

VALIDATION_SAMPLES = 64
"""Conversations of the validation set that the loss during training is measured on."""


@dataclass(frozen=True)
class StageData:
    """A stage's data.

    Args:
        reader: Step → batch.
        steps: How many there are.
        validation: The validation set, packed.
        feature_seconds: Spent on encoding media ahead.
    """

    reader: Reader | PairReader | DetectionReader
    steps: int
    validation: Sequence[StepData]
    feature_seconds: float


def stage_data(model: Trainable, recipe: Recipe, stage: StageConfig, console: Console) -> StageData:
    """Open the stage's sources, encode what a frozen encoder will be asked for, prepare the reader.

    Raises:
        DataError: A dataset cannot be used at all.
    """
    base = Path(recipe.base)
    sources = {name: build_source(recipe.data[name], base) for name in stage.mixture}
    mixture = Mixture({name: len(source) for name, source in sources.items()}, stage.mixture, recipe.seed)
    steps = stage.steps or max(1, math.ceil((stage.epochs or 1) * sum(map(len, sources.values())) / stage.batch_size))
    texts = not isinstance(stage.objective, MaskedImage)
    options = (stage.chat_template, bool(stage.groups), texts, not isinstance(stage.objective, PhraseAlignment))
    reader = make_reader(model, recipe, sources, mixture, stage.batch_size, *options)
    began = time.perf_counter()
    validation: list[StepData] = []
    if stage.validate_every and recipe.validation is not None:
        held_out = build_source(recipe.data[recipe.validation], base)
        size = min(VALIDATION_SAMPLES, len(held_out))
        order = Mixture({recipe.validation: len(held_out)}, {recipe.validation: 1.0}, recipe.seed)
        held_out_sources: dict[str, Source] = {recipe.validation: held_out}
        validation_reader = make_reader(model, recipe, held_out_sources, order, size, stage.chat_template, texts=texts)
        _encode(model, validation_reader, 1, console)
        validation = [validation_reader(0)]
        if validation[0].batch is None:
            reason = validation[0].events[0].reason
            raise DataError(f"validation: every record of {recipe.validation!r} was refused, for example: {reason}")
    _encode(model, reader, steps, console)
    return StageData(reader, steps, validation, time.perf_counter() - began)


def make_reader(
    model: Trainable,
    recipe: Recipe,
    sources: dict[str, Source],
    mixture: Mixture,
    batch_size: int,
    chat_template: str | None = None,
    apart: bool = False,
    texts: bool = True,
    points: bool = True,
) -> Reader | PairReader | DetectionReader:
    """The reader of a model's batches; it uses the feature cache where the encoder is frozen.

    Args:
        model: Whose batches.
        recipe: Of the model and the data.
        sources: Datasets by name.
        mixture: Which record comes when.
        batch_size: Conversations per step.
        chat_template: How they are written, where not in the model's own way.
        apart: Whether rows hold conversations of one dataset each.
        texts: Whether a dual encoder's objective looks at texts.
        points: Whether regions are decoded, or read in questions, where the model does so by embedding.
    """
    if isinstance(model, DualEncoder | Blip2):
        frozen = _encoder(model)
        cache = _cache(frozen, recipe) if frozen is not None else None
        return PairReader(sources, mixture, batch_size, model.prepare, model.words, texts, cache)
    if isinstance(model, OpenVocabularyDetector):
        vision = model.vision
        seen = _cache(vision, recipe)
        return DetectionReader(sources, mixture, batch_size, vision.preparation, vision.prepare, seen)
    assert isinstance(model, MultimodalModel)
    encoder = _encoder(model)
    cache = _cache(encoder, recipe) if encoder is not None else None
    own = model.language.template
    template = ChatTemplate(own.tokenizer, chat_template, own.system_prompt, own.regions) if chat_template else None
    return Reader(
        sources=sources,
        mixture=mixture,
        batch_size=batch_size,
        plan=model.plan if template is None else partial(model.plan, template=template),
        prepare=encoder.prepare if encoder is not None else None,
        cache=cache,
        row_tokens=recipe.sequence.row_tokens or recipe.sequence.max_tokens,
        pad=model.language.placeholder,
        apart=apart,
        alone=model.language.capabilities.packing == "rows",
        details=_details(model, recipe) if points else None,
        unroll=model.unroll if template is None else partial(model.unroll, template=template),
    )


def _details(model: MultimodalModel, recipe: Recipe) -> Inputs | None:
    """For the encoder that the decoders of regions look at, where it is one of their own."""
    encoder = model.region_encoder
    return Inputs(encoder.prepare, _cache(encoder, recipe)) if encoder is not None else None


def _cache(encoder: Encoder, recipe: Recipe) -> FeatureCache | None:
    """Where the features of a frozen encoder are kept."""
    if not recipe.loading.cache_features or any(parameter.requires_grad for parameter in encoder.parameters()):
        return None
    return FeatureCache.of(encoder.fingerprint)


def _encode(model: Trainable, reader: Reader | PairReader | DetectionReader, steps: int, console: Console) -> None:
    """Run the frozen encoder once over every medium that the steps will ask for."""
    todo = [(_encoder(model), reader.cache)]
    if isinstance(reader, Reader) and reader.details is not None:
        assert isinstance(model, MultimodalModel)
        todo.append((model.region_encoder, reader.details.cache))
    wanted = [(encoder, cache) for encoder, cache in todo if encoder is not None and cache is not None]
    draws = dict.fromkeys(reader.mixture.draw(n) for n in range(steps * reader.batch_size)) if wanted else {}
    for encoder, cache in wanted:
        with console.bar("encoding media once", 0, None, "media") as bar:
            media = list(_media(reader, draws))
            bar.total(len(media))
            encode_missing(media, encoder, cache, bar.advance, foreseen=False)
        release(encoder)


def _encoder(model: Trainable) -> Encoder | None:
    """The image encoder whose features may be cached while it is frozen; None where there is none beside the model."""
    if isinstance(model, DualEncoder):
        return model.frozen_encoder
    if isinstance(model, Blip2):
        return model.encoder
    if isinstance(model, OpenVocabularyDetector):
        return model.encoder()
    assert isinstance(model, MultimodalModel)
    return model.encoder() if "image" in model.encoders else None


def _media(reader: Reader | PairReader | DetectionReader, draws: Iterable[tuple[str, int]]) -> Iterator[Image]:
    for dataset, index in draws:
        try:
            yield from read_record(reader.sources[dataset], index).media
        except DataError:  # the loader meets it again and writes the ledger
            continue
