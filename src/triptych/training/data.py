"""What a stage reads: its sources mixed, its media encoded once, its validation set."""

from __future__ import annotations

import math
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from triptych.conversation import Medium
from triptych.data.features import encode_missing
from triptych.data.loader import StepData, StepReader
from triptych.data.mixture import Mixture
from triptych.data.reading import read_record
from triptych.data.sources import Source
from triptych.data.sources import build as build_source
from triptych.errors import DataError
from triptych.family import family_of
from triptych.kernels.packed import release
from triptych.model.trainable import Trainable
from triptych.recipe import Recipe
from triptych.training.config import StageConfig
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

    reader: StepReader
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
    reader = make_reader(model, recipe, sources, mixture, stage.batch_size, stage)
    began = time.perf_counter()
    validation: list[StepData] = []
    if stage.validate_every and recipe.validation is not None:
        held_out = build_source(recipe.data[recipe.validation], base)
        size = min(VALIDATION_SAMPLES, len(held_out))
        order = Mixture({recipe.validation: len(held_out)}, {recipe.validation: 1.0}, recipe.seed)
        held_out_sources: dict[str, Source] = {recipe.validation: held_out}
        # Its rows hold conversations of one dataset anyway, and its regions are always prepared.
        validation_reader = make_reader(model, recipe, held_out_sources, order, size, stage)
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
    sources: Mapping[str, Source],
    mixture: Mixture,
    batch_size: int,
    stage: StageConfig,
) -> StepReader:
    """The reader of a model's batches; it uses the feature cache where an encoder is frozen. See `Family.reader`."""
    reader: StepReader = family_of(recipe.model).reader(model, recipe, sources, mixture, batch_size, stage)
    return reader


def _encode(model: Trainable, reader: StepReader, steps: int, console: Console) -> None:
    """Run the frozen encoders once over every medium that the steps will ask for."""
    caches = reader.caches
    wanted = [(encoder, cache) for slot, encoder in model.slots().items() if (cache := caches.get(slot)) is not None]
    draws = dict.fromkeys(reader.mixture.draw(n) for n in range(steps * reader.batch_size)) if wanted else {}
    for encoder, cache in wanted:
        with console.bar("encoding media once", 0, None, "media") as bar:
            media = [medium for medium in _media(reader, draws) if isinstance(medium, encoder.medium)]
            bar.total(len(media))
            encode_missing(media, encoder, cache, bar.advance, foreseen=False)
        release(encoder)


def _media(reader: StepReader, draws: Iterable[tuple[str, int]]) -> Iterator[Medium]:
    for dataset, index in draws:
        try:
            yield from read_record(reader.sources[dataset], index).media
        except DataError:  # the loader meets it again and writes the ledger
            continue
