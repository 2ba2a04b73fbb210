"""What BLIP-2's first stage costs: a whole step runs on the meta device, forward and backward.

features ─► looked at ─┬─► queries ─┬─► contrast        per stage: FLOPs of each, seconds, memory of each device
                       │            ├─► captions
texts ──► read ────────┴────────────┴─► matching, three readings a pair
"""

from __future__ import annotations

import math
from collections.abc import Mapping

import torch
from torch import Tensor, nn

from triptych.families.qformer.config import Blip2Losses
from triptych.families.qformer.model import Blip2
from triptych.families.qformer.plan_step import StepSize, run_step
from triptych.families.qformer.shape import build_blip2_shape
from triptych.planner.activations import encoder_flops, encoder_working_bytes
from triptych.planner.cost import BLIP2_PAIRS, CostPlan, StageCost
from triptych.planner.datasets import DatasetSize, pair_sizes
from triptych.planner.devices import DeviceSpec
from triptych.planner.draws import Draws
from triptych.planner.measure import (
    CountedParts,
    KeptParts,
    attention,
    counted_flops,
    empty_features,
    feature_bytes,
    in_bfloat16,
    rate,
)
from triptych.planner.memory import MemoryItem, passing, standing
from triptych.planner.parts import learning, parts_of
from triptych.planner.suggestions import larger_devices, suggest_caching
from triptych.planner.tokens import tokenizer_at_hand
from triptych.recipe import Recipe
from triptych.report.numbers import gibibytes
from triptych.training.config import StageConfig
from triptych.training.parts import Trained, freeze, set_mode

ENCODER = "frozen encoder"


def plan_blip2(recipe: Recipe, device: DeviceSpec, count: int = 1) -> CostPlan:
    """What a recipe of BLIP-2's first stage costs on `count` devices. No weights are read.

    Raises:
        RecipeError: An architecture is not known, or the size of a dataset or of the vocabulary.
    """
    tokenizer = tokenizer_at_hand(recipe)
    model = build_blip2_shape(recipe, in_bfloat16(device), tokenizer)
    sizes = pair_sizes(recipe, model.words if tokenizer is not None else None, beside=2)
    known: set[str] = set()
    described = parts_of(model, recipe)
    stages, found = [], []
    for i, stage in enumerate(recipe.stages):
        trained = freeze(model, stage)
        set_mode(model, trained, "train")
        cost = _stage(recipe, stage, model, trained, sizes, device, count, known)
        stages.append(cost)
        found += _fitting(recipe, i, model, trained, sizes, device, count, cost)
    model.requires_grad_(False).eval()
    plan = CostPlan(
        name=recipe.name,
        device=device,
        count=count,
        parts=described,
        datasets=sizes,
        stages=stages,
        note=_note(model, sizes),
        wording=BLIP2_PAIRS,
        suggestions=found,
    )
    plan.suggestions.extend(suggest_caching(recipe, plan, ENCODER, feature_bytes(model.encoder)))
    return plan


def step_size(model: Blip2, batch: int, count: int, draws: Draws, sizes: Mapping[str, DatasetSize]) -> StepSize:
    """What one of `count` processes computes of a step of so many pairs."""
    mine, limit = math.ceil(batch / count), model.words.max_tokens
    length = min(float(limit), draws.mean(sizes, lambda size: size.text_tokens))

    def padded(texts: int) -> int:
        longest = (sizes[name].longest(max(1, round(texts * share)), limit) for name, share in draws.shares.items())
        return round(max(length, *longest))

    return StepSize(mine, batch, padded(mine), padded(min(batch, 2 * mine)), max(1, round(mine * (length - 1))))


def step_flops(model: Blip2, objective: Blip2Losses, size: StepSize) -> dict[str, int]:
    """FLOPs of one process in a step, by what they are spent on."""
    parts = CountedParts()
    loss = run_step(model, size, _weights(objective), objective.label_smoothing, _features(model, size), parts)
    found = parts.backward(loss)
    model.zero_grad()
    return found


def step_bytes(model: Blip2, objective: Blip2Losses, size: StepSize, device: DeviceSpec) -> dict[str, int]:
    """Bytes that one process keeps for the gradient of a step, features left out."""
    dropout = any(isinstance(module, nn.Dropout) and module.p > 0 for module in model.reader.modules())
    features = _features(model, size)
    parts = KeptParts([*model.parameters(), features])
    low = model.reader.queries.dtype.itemsize == 2
    with attention(device, by_products=low and not dropout, dropout=dropout):
        loss = run_step(model, size, _weights(objective), objective.label_smoothing, features, parts)
    del loss
    return parts.bytes


def _stage(
    recipe: Recipe,
    stage: StageConfig,
    model: Blip2,
    trained: Trained,
    sizes: Mapping[str, DatasetSize],
    device: DeviceSpec,
    count: int,
    known: set[str],
) -> StageCost:
    objective = stage.objective
    assert isinstance(objective, Blip2Losses)  # the recipe makes sure of it
    draws = Draws.of(stage, sizes)
    size = step_size(model, stage.batch_size, count, draws, sizes)
    cached = recipe.loading.cache_features
    fresh = draws.distinct(sizes, known)
    encoded = sum(fresh.values()) if cached else float(draws.samples)
    if cached:
        known.update(fresh)
    times = draws.samples / size.pairs  # steps of one process, all processes together
    flops = {name: times * found for name, found in step_flops(model, objective, size).items()}
    flops[ENCODER] = encoder_flops(model.encoder) * encoded
    flops = {name: found for name, found in flops.items() if found}
    rates = dict.fromkeys(flops, rate(model.reader, device))
    rates |= {ENCODER: rate(model.encoder, device), "contrast (ITC)": device.float32}
    return StageCost(
        name=stage.name,
        learning=learning(model),
        steps=draws.steps,
        samples=draws.samples,
        tokens=float(draws.samples) * (size.words / size.pairs + 1),
        supervised=float(draws.samples) * size.words / size.pairs,
        encoded=encoded,
        row=float(size.tokens),
        micro_batches=count,
        busy=1.0,
        flops=flops,
        seconds={name: found / (device.utilisation * count * rates[name]) for name, found in flops.items()},
        memory=_memory(recipe, stage, model, trained, size, device, count),
        cache_bytes=encoded * feature_bytes(model.encoder) if cached else 0.0,
    )


def _memory(
    recipe: Recipe, stage: StageConfig, model: Blip2, trained: Trained, size: StepSize, device: DeviceSpec, count: int
) -> list[MemoryItem]:
    objective = stage.objective
    assert isinstance(objective, Blip2Losses)
    live = not recipe.loading.cache_features
    layers = [*model.reader.qformer.layers, *getattr(model.encoder, "blocks", [])]
    items = standing(model, trained, layers, count)
    each = feature_bytes(model.encoder)
    found = {f"activations: {name}": float(kept) for name, kept in step_bytes(model, objective, size, device).items()}
    found["pictures"] = size.pairs * 3.0 * model.encoder.preparation.size**2 if live else 0.0
    found["working memory of the encoder"] = float(encoder_working_bytes(model.encoder)) if live else 0.0
    # Matching picks wrong pictures among everybody's, whose features are gathered on each device.
    found["features"] = each * (size.pairs + (size.everybody if count > 1 and objective.weights.get("itm", 1) else 0))
    return [*items, *passing(found, device)]


def _features(model: Blip2, size: StepSize) -> Tensor:
    return empty_features(model.encoder, size.pairs)


def _weights(objective: Blip2Losses) -> dict[str, float]:
    return {name: objective.weights.get(name, 1.0) for name in ("itc", "itm", "itg")}


def _note(model: Blip2, sizes: Mapping[str, DatasetSize]) -> str:
    """What using the model costs."""
    length = max((size.text_tokens for size in sizes.values()), default=float(model.words.max_tokens))
    tokens = min(model.words.max_tokens, math.ceil(length))
    ids, lengths = torch.zeros(1, tokens, dtype=torch.long, device="meta"), torch.full((1,), tokens, device="meta")
    seen = model.look(empty_features(model.encoder, 1))
    encoding = encoder_flops(model.encoder)
    picture = encoding + counted_flops(lambda: model.read_pictures(model.look(empty_features(model.encoder, 1))))
    text = counted_flops(lambda: model.read_texts(ids, lengths))
    pair = counted_flops(lambda: model.match(seen, ids, lengths))
    return (
        f"a picture becomes {len(model.reader.queries)} queries and takes {picture:.2e} FLOPs ({encoding / picture:.0%} of them "
        f"the encoder's), a text {text:.2e}, reading a pair of them together to rank anew {pair:.2e}"
    )


def _fitting(
    recipe: Recipe,
    index: int,
    model: Blip2,
    trained: Trained,
    sizes: Mapping[str, DatasetSize],
    device: DeviceSpec,
    count: int,
    cost: StageCost,
) -> list[str]:
    """What to do where a stage does not fit: its loss cannot be cut into chunks, for every pair looks at all others."""
    stage = recipe.stages[index]
    if cost.whole_bytes <= device.memory:
        return []

    def bytes_of(batch: int, devices: int) -> float:
        size = step_size(model, batch, devices, Draws.of(stage, sizes), sizes)
        return sum(item.whole for item in _memory(recipe, stage, model, trained, size, device, devices))

    found = []
    batch = stage.batch_size
    while batch > count and bytes_of(batch, count) > device.memory:
        batch //= 2
    if bytes_of(batch, count) <= device.memory:
        found.append(
            f"{stage.name}: does not fit; stages.{index}.batch_size={batch} does, with {gibibytes(bytes_of(batch, count))}, "
            "but every pair then has fewer to be told apart from: it is another training"
        )
    devices = count
    while devices < stage.batch_size and bytes_of(stage.batch_size, devices) > device.memory and devices < 64 * count:
        devices *= 2
    if bytes_of(stage.batch_size, devices) <= device.memory:
        found.append(f"{stage.name}: {devices} such devices hold the whole batch, each its part of the pairs")
    return found + larger_devices(cost)
