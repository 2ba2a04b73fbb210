"""What a composed model costs."""

from __future__ import annotations

import math
from collections.abc import Mapping

from triptych.encoders.encoder import Encoder
from triptych.families.composed.config import composed
from triptych.families.composed.memory import Load, stage_memory
from triptych.families.composed.objectives import NextToken
from triptych.families.composed.shape import build_composed_shape
from triptych.families.composed.sizes import dataset_sizes
from triptych.model.composed import MultimodalModel
from triptych.planner import activations, parts
from triptych.planner.cost import CostPlan, GenerationCost, StageCost
from triptych.planner.datasets import DatasetSize
from triptych.planner.devices import DeviceSpec
from triptych.planner.draws import Draws
from triptych.planner.flops import (
    backward_flops,
    forward_flops,
    fusion_flops,
    learning,
)
from triptych.planner.language import LanguageShape, language_shape
from triptych.planner.measure import feature_bytes, in_bfloat16, rate
from triptych.planner.suggestions import suggest
from triptych.planner.tokens import tokenizer_at_hand
from triptych.recipe import Recipe
from triptych.training.config import StageConfig
from triptych.training.parts import freeze


def plan_composed(recipe: Recipe, device: DeviceSpec, count: int = 1) -> CostPlan:
    """What a recipe of a composed model costs on `count` devices. No weights are read; datasets are read only where they
    are at hand.

    Raises:
        RecipeError: An architecture is not known, or the size of a dataset.
    """
    tokenizer = tokenizer_at_hand(recipe)
    model = build_composed_shape(recipe, in_bfloat16(device), tokenizer)
    shape = language_shape(model.language)
    sizes = dataset_sizes(recipe, tokenizer)
    described = parts.parts_of(model, recipe)
    known: set[str] = set()
    stages = [_stage(recipe, stage, model, shape, sizes, device, count, known) for stage in recipe.stages]
    weights = sum(part.bytes for part in described)
    requests = 16
    found = CostPlan(
        name=recipe.name,
        device=device,
        count=count,
        parts=described,
        media_tokens={modality: media_tokens(model, modality) for modality in composed(recipe).modalities},
        datasets=sizes,
        stages=stages,
        generation=GenerationCost(
            weights, shape.kv_bytes, requests, weights + requests * recipe.sequence.max_tokens * shape.kv_bytes
        ),
    )
    if shape.note:
        found.suggestions.append(f"the language model's cost is estimated from its parameters alone: {shape.note}")
    found.suggestions.extend(suggest(recipe, found))
    return found


def media_tokens(model: MultimodalModel, modality: str) -> int:
    """Positions that one medium takes in the sequence."""
    return model.fusion.positions(adapted_tokens(model, modality))


def adapted_tokens(model: MultimodalModel, modality: str) -> int:
    """Positions of what the adapter makes of one medium."""
    return model.adapter(modality).output_tokens(model.encoder(modality).usual_tokens)


def _stage(
    recipe: Recipe,
    stage: StageConfig,
    model: MultimodalModel,
    shape: LanguageShape,
    sizes: Mapping[str, DatasetSize],
    device: DeviceSpec,
    count: int,
    known: set[str],
) -> StageCost:
    """Plan one stage; `known` holds the datasets whose features are cached already, and is added to."""
    trained = freeze(model, stage)
    draws = Draws.of(stage, sizes)
    samples = draws.samples
    media = {modality: _mean(draws, sizes, modality) for modality in composed(recipe).modalities}
    supervised = draws.mean(sizes, lambda size: size.supervised)
    longest = recipe.sequence.max_tokens
    text = draws.mean(sizes, lambda size: size.text_tokens)
    length = min(longest, text + sum(count * media_tokens(model, modality) for modality, count in media.items()))

    row_limit = recipe.sequence.row_tokens or longest
    documents = max(1, int(row_limit // length))
    rows = math.ceil(stage.batch_size / documents)
    micro_batches = math.ceil(rows / stage.micro_rows)
    busy = micro_batches / (math.ceil(micro_batches / count) * count)

    cached = recipe.loading.cache_features and not _learns(model, "encoders")
    encoded = {modality: samples * count for modality, count in media.items()}
    if cached:
        fresh = draws.distinct(sizes, known)
        for modality in encoded:
            encoded[modality] = sum(records * sizes[name].of(modality) for name, records in fresh.items())
        known.update(fresh)
    flops = _flops(stage, model, shape, samples, length, supervised, documents * length, media, encoded)
    seconds = {
        name: size / (device.utilisation * count * _rate(model, name, device) * (1.0 if name == "encoder" else busy))
        for name, size in flops.items()
    }

    held = min(stage.micro_rows, rows)
    load = Load(
        rows=held,
        row=min(row_limit, math.ceil(documents * length)),
        media={modality: max(1, round(held * documents * count)) for modality, count in media.items()},
        supervised=held * documents * supervised,
        live=not cached,
    )
    return StageCost(
        name=stage.name,
        learning=parts.learning(model),
        steps=draws.steps,
        samples=samples,
        tokens=samples * length,
        supervised=samples * supervised,
        encoded=sum(encoded.values()),
        row=documents * length,
        micro_batches=micro_batches,
        busy=busy,
        flops=flops,
        seconds=seconds,
        memory=stage_memory(model, stage, trained, load, device, count),
        cache_bytes=sum(encoded[name] * feature_bytes(model.encoders[name]) for name in encoded) if cached else 0.0,
    )


def _mean(draws: Draws, sizes: Mapping[str, DatasetSize], modality: str) -> float:
    """Media of a modality in a draw."""
    return draws.mean(sizes, lambda size: size.of(modality))


def _flops(
    stage: StageConfig,
    model: MultimodalModel,
    shape: LanguageShape,
    samples: int,
    length: float,
    supervised: float,
    row: float,
    media: Mapping[str, float],
    encoded: Mapping[str, float],
) -> dict[str, float]:
    found: dict[str, float] = {}
    if isinstance(stage.objective, NextToken):
        found["language model, forward"] = forward_flops(shape, samples * length, samples * supervised, row)
        found["language model, backward"] = backward_flops(
            shape, samples * length, samples * supervised, row, learning(model)
        )
        adapted = sum(count * adapted_tokens(model, modality) for modality, count in media.items())
        fusing = fusion_flops(model.fusion, samples * length, samples * adapted, row / max(length, 1) * adapted)
        found["fusion"] = fusing * (1 + learning(model).backward + _learns(model, "fusion"))
    for modality, adapter in model.adapters.items():
        encoder = model.encoders[modality]
        assert isinstance(encoder, Encoder)
        adapting = activations.adapter_flops(adapter, encoder) * samples * media[modality]
        found["adapter"] = found.get("adapter", 0.0) + adapting
        encoding = activations.encoder_flops(encoder) * (3 if _learns(model, "encoders") else 1) * encoded[modality]
        found["encoder"] = found.get("encoder", 0.0) + encoding
    return {name: size for name, size in found.items() if size}


def _rate(model: MultimodalModel, work: str, device: DeviceSpec) -> float:
    """FLOP/s in the precision that a part computes in: that of its largest parameter."""
    part = {"encoder": model.encoders, "adapter": model.adapters}.get(work, model.language)
    return rate(part, device)


def _learns(model: MultimodalModel, panel: str) -> bool:
    return any(parameter.requires_grad for _, parameter in model.part(panel))
