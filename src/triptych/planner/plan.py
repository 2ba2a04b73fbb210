"""`plan`: from a recipe and a device to what it costs."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field

from triptych.encoders.encoder import Encoder
from triptych.encoders.precision import resolve
from triptych.errors import RecipeError
from triptych.model.composed import MultimodalModel
from triptych.model.config import Blip2Config, DetectorModelConfig, DualConfig
from triptych.planner import activations, parts
from triptych.planner.datasets import DatasetSize, dataset_sizes
from triptych.planner.devices import DeviceSpec
from triptych.planner.devices import device as find_device
from triptych.planner.flops import (
    LanguageShape,
    backward_flops,
    forward_flops,
    fusion_flops,
    language_shape,
    learning,
)
from triptych.planner.memory import Load, MemoryItem, stage_memory
from triptych.planner.parts import Part
from triptych.planner.tokens import tokenizer_at_hand
from triptych.recipe import Recipe
from triptych.training.config import NextToken, StageConfig
from triptych.training.parts import describe_parts, freeze


@dataclass(frozen=True)
class StageCost:
    """What a stage costs.

    Args:
        name: Of the stage.
        trained: The parts that learn.
        learned: Parameters that learn.
        steps: Optimiser steps.
        samples: Conversations seen.
        tokens: Positions read, media included.
        supervised: Tokens predicted.
        encoded: Media that pass through an encoder.
        row: Tokens in a packed row, on average.
        micro_batches: Forward passes per step, over all devices.
        busy: Share of the time in which the devices all have a micro-batch to compute.
        flops: By what they are spent on.
        seconds: By the same, on all devices together.
        memory: Item by item, per device.
        cache_bytes: What the feature cache grows by, on disk.
    """

    name: str
    trained: list[str]
    learned: int
    steps: int
    samples: int
    tokens: float
    supervised: float
    encoded: float
    row: float
    micro_batches: int
    busy: float
    flops: Mapping[str, float]
    seconds: Mapping[str, float]
    memory: list[MemoryItem]
    cache_bytes: float

    @property
    def total_flops(self) -> float:
        """Over the whole stage."""
        return sum(self.flops.values())

    @property
    def total_seconds(self) -> float:
        """Wall clock."""
        return sum(self.seconds.values())

    @property
    def whole_bytes(self) -> float:
        """Memory of a device that holds a whole copy of the model."""
        return sum(item.whole for item in self.memory)

    @property
    def sharded_bytes(self) -> float:
        """Memory of a device when the model is sharded over all of them."""
        return sum(item.sharded for item in self.memory)


@dataclass(frozen=True)
class GenerationCost:
    """What answering costs on one device: bytes for weights, per token in the cache, and for a full batch."""

    weights: float
    kv_per_token: float
    requests: int
    total: float


@dataclass(frozen=True)
class CostPlan:
    """What a recipe costs."""

    name: str
    device: DeviceSpec
    count: int
    parts: list[Part]
    media_tokens: Mapping[str, int]
    datasets: Mapping[str, DatasetSize]
    stages: list[StageCost]
    generation: GenerationCost | None
    """None where nothing answers."""
    note: str = ""
    """What using a dual encoder costs."""
    suggestions: list[str] = field(default_factory=list)

    @property
    def seconds(self) -> float:
        """Wall clock of all stages."""
        return sum(stage.total_seconds for stage in self.stages)

    @property
    def parameters(self) -> int:
        """Of all parts."""
        return sum(part.parameters for part in self.parts)


def plan(recipe: Recipe, device: DeviceSpec | str = "cpu", count: int = 1) -> CostPlan:
    """What a recipe costs on `count` devices. No weights are read; datasets are read only where they are at hand.

    Raises:
        RecipeError: The device or an architecture is not known, or the size of a dataset.
    """
    from triptych.planner.suggestions import suggest

    if count < 1:
        raise RecipeError(f"--count {count}: at least one device is needed")
    spec = find_device(device) if isinstance(device, str) else device
    if isinstance(recipe.model, DualConfig):
        from triptych.planner.dual import plan_dual

        return plan_dual(recipe, spec, count)
    if isinstance(recipe.model, Blip2Config | DetectorModelConfig):
        raise RecipeError(f"{recipe.name}: `triptych plan` does not yet reckon models of `kind: {recipe.model.kind}`")
    tokenizer = tokenizer_at_hand(recipe)
    model = parts.build(recipe, not spec.is_cpu or str(resolve("auto")) == "torch.bfloat16", tokenizer)
    shape = language_shape(model.language)
    sizes = dataset_sizes(recipe, tokenizer)
    described = parts.parts_of(model, recipe)
    known: set[str] = set()
    stages = [_stage(recipe, stage, model, shape, sizes, spec, count, known) for stage in recipe.stages]
    weights = sum(part.bytes for part in described)
    requests = 16
    found = CostPlan(
        name=recipe.name,
        device=spec,
        count=count,
        parts=described,
        media_tokens={modality: media_tokens(model, modality) for modality in recipe.composed.modalities},
        datasets=sizes,
        stages=stages,
        generation=GenerationCost(
            weights, shape.kv_bytes, requests, weights + requests * recipe.sequence.max_tokens * shape.kv_bytes
        ),
    )
    found.suggestions.extend(suggest(recipe, found))
    return found


def media_tokens(model: MultimodalModel, modality: str) -> int:
    """Positions that one medium takes in the sequence."""
    return model.fusion.positions(adapted_tokens(model, modality))


def adapted_tokens(model: MultimodalModel, modality: str) -> int:
    """Positions of what the adapter makes of one medium."""
    from triptych.conversation import Image

    tokens: int = model.adapters[modality].output_tokens(model.encoders[modality].tokens(Image(b"")))  # type: ignore[operator]
    return tokens


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
    shares = {name: weight / sum(stage.mixture.values()) for name, weight in stage.mixture.items()}
    records = sum(sizes[name].records or 0 for name in stage.mixture)
    steps = stage.steps or max(1, math.ceil((stage.epochs or 1) * records / stage.batch_size))
    samples = steps * stage.batch_size
    per_medium = sum(media_tokens(model, modality) for modality in recipe.composed.modalities)
    media = sum(share * sizes[name].media for name, share in shares.items())
    supervised = sum(share * sizes[name].supervised for name, share in shares.items())
    longest = recipe.sequence.max_tokens
    text = sum(share * sizes[name].text_tokens for name, share in shares.items())
    length = min(longest, text + media * per_medium)

    row_limit = recipe.sequence.row_tokens or longest
    documents = max(1, int(row_limit // length))
    rows = math.ceil(stage.batch_size / documents)
    micro_batches = math.ceil(rows / stage.micro_rows)
    busy = micro_batches / (math.ceil(micro_batches / count) * count)

    cached = recipe.loading.cache_features and not _learns(model, "encoders")
    encoded = samples * media
    if cached:
        fresh = {name: share for name, share in shares.items() if name not in known}
        encoded = sum(_distinct(sizes[name], samples * share) * sizes[name].media for name, share in fresh.items())
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
        pictures=max(1, round(held * documents * media)),
        supervised=held * documents * supervised,
        live=not cached,
    )
    return StageCost(
        name=stage.name,
        trained=[state.part for state in describe_parts(model) if state.trained],
        learned=sum(parameter.numel() for group in trained.values() for parameter in group.values()),
        steps=steps,
        samples=samples,
        tokens=samples * length,
        supervised=samples * supervised,
        encoded=encoded,
        row=documents * length,
        micro_batches=micro_batches,
        busy=busy,
        flops=flops,
        seconds=seconds,
        memory=stage_memory(model, stage, trained, load, device, count),
        cache_bytes=encoded * sum(_feature_bytes(encoder) for encoder in model.encoders.values()) if cached else 0.0,
    )


def _flops(
    stage: StageConfig,
    model: MultimodalModel,
    shape: LanguageShape,
    samples: int,
    length: float,
    supervised: float,
    row: float,
    media: float,
    encoded: float,
) -> dict[str, float]:
    found: dict[str, float] = {}
    if isinstance(stage.objective, NextToken):
        found["language model, forward"] = forward_flops(shape, samples * length, samples * supervised, row)
        found["language model, backward"] = backward_flops(
            shape, samples * length, samples * supervised, row, learning(model)
        )
        adapted = media * sum(adapted_tokens(model, modality) for modality in model.adapters)
        fusing = fusion_flops(model.fusion, samples * length, samples * adapted, row / max(length, 1) * adapted)
        found["fusion"] = fusing * (1 + learning(model).backward + _learns(model, "fusion"))
    for modality, adapter in model.adapters.items():
        encoder = model.encoders[modality]
        assert isinstance(encoder, Encoder)
        adapting = activations.adapter_flops(adapter, encoder) * samples * media
        found["adapter"] = found.get("adapter", 0.0) + adapting
        encoding = activations.encoder_flops(encoder) * (3 if _learns(model, "encoders") else 1) * encoded
        found["encoder"] = found.get("encoder", 0.0) + encoding
    return {name: size for name, size in found.items() if size}


def _rate(model: MultimodalModel, work: str, device: DeviceSpec) -> float:
    """FLOP/s in the precision that a part computes in: that of its largest parameter."""
    part = {"encoder": model.encoders, "adapter": model.adapters}.get(work, model.language)
    largest = max(part.parameters(), key=lambda parameter: parameter.numel())
    return device.bfloat16 if largest.dtype.itemsize == 2 else device.float32


def _distinct(size: DatasetSize, draws: float) -> float:
    """Distinct records among so many draws, which go through a dataset in rounds."""
    return draws if size.records is None else min(draws, size.records)


def _learns(model: MultimodalModel, panel: str) -> bool:
    return any(parameter.requires_grad for _, parameter in model.part(panel))


def _feature_bytes(encoder: object) -> float:
    """Of one picture in the feature cache."""
    from triptych.conversation import Image

    assert isinstance(encoder, Encoder)
    return encoder.tokens(Image(b"")) * encoder.dim * encoder.dtype.itemsize
