"""What would make a recipe fit, or cheaper: sentences that name the recipe's fields."""

from __future__ import annotations

from triptych.planner.cost import CostPlan, StageCost
from triptych.planner.devices import DEVICES
from triptych.recipe import Recipe
from triptych.report.numbers import duration, gibibytes, significant

LARGE_CACHE = 200e9
"""Bytes of features from which keeping them is worth a thought."""


def suggest(recipe: Recipe, plan: CostPlan) -> list[str]:
    """Suggestions, the most pressing first."""
    found = []
    for i, stage in enumerate(plan.stages):
        found += _memory(recipe, plan, stage, i)
    for i, stage in enumerate(plan.stages):
        found += _speed(recipe, plan, stage, i)
    return list(dict.fromkeys(found))


def _memory(recipe: Recipe, plan: CostPlan, stage: StageCost, index: int) -> list[str]:
    limit = plan.device.memory
    if stage.whole_bytes <= limit:
        return []
    found = []
    lack = gibibytes(stage.whole_bytes - limit)
    passing = {item.name: item.whole for item in stage.memory}
    kept = sum(size for name, size in passing.items() if name.startswith("activations"))
    micro = recipe.stages[index].micro_rows
    if micro > 1 and kept * (1 - 1 / micro) > stage.whole_bytes - limit:
        found.append(
            f"{stage.name}: {lack} too much; activations are {gibibytes(kept)}: stages.{index}.micro_rows=1 makes them "
            f"{gibibytes(kept / micro)} and changes no gradient"
        )
    elif micro > 1:
        found.append(
            f"{stage.name}: activations are {gibibytes(kept)}; stages.{index}.micro_rows=1 makes them "
            f"{gibibytes(kept / micro)}, which is not enough alone"
        )
    states = sum(size for name, size in passing.items() if name not in _PASSING and not name.startswith("activations"))
    if "language" in stage.trained:
        each = significant(states / max(1, stage.learned), 2)
        found.append(
            f"{stage.name}: weights, gradients, masters and moments take {gibibytes(states)}, {each} bytes per "
            "parameter that learns. With low-rank adaptation the language model takes 2 bytes per parameter: set "
            f"model.language.lora and train `language.lora` instead of `language` (stages.{index}.train)"
        )
    if stage.sharded_bytes <= limit and plan.count > 1:
        found.append(
            f"{stage.name}: sharded over the {plan.count} devices (FSDP) it would take "
            f"{gibibytes(stage.sharded_bytes)} on each; training keeps a whole copy on each for now"
        )
    return found + larger_devices(stage)


def larger_devices(stage: StageCost) -> list[str]:
    """On what a stage fits as it is."""
    larger = [name for name, spec in DEVICES.items() if spec.memory >= stage.whole_bytes]
    return [f"{stage.name}: fits as it is on {', '.join(larger)}"] if larger else []


_PASSING = {"logits, a chunk at a time", "fragmentation", "driver and libraries"}


def _speed(recipe: Recipe, plan: CostPlan, stage: StageCost, index: int) -> list[str]:
    found = []
    if stage.busy < 0.9:
        found.append(
            f"{stage.name}: {stage.micro_batches} micro-batches a step keep {plan.count} devices busy for "
            f"{stage.busy:.0%} of the time; a smaller stages.{index}.micro_rows or a larger batch_size divides better"
        )
    found += _large_cache(stage)
    encoder = stage.seconds.get("encoder", 0.0)
    frozen = not any(part.startswith("encoders") for part in stage.trained)
    if (
        encoder > 0.3 * stage.total_seconds
        and not recipe.loading.cache_features
        and _repeats(recipe, plan, index)
        and frozen
    ):
        found.append(_encoding_again(stage, encoder))
    return found


def suggest_caching(recipe: Recipe, plan: CostPlan, encoder: str, each: float) -> list[str]:
    """What keeping features would change where an encoder stays frozen in all stages.

    Args:
        recipe: That is planned.
        plan: Its plan.
        encoder: What the encoder's work is called there.
        each: Bytes of one picture's features.
    """
    found = []
    for i, stage in enumerate(plan.stages):
        found += _large_cache(stage)
        seconds = stage.seconds.get(encoder, 0.0)
        size = each * _pictures(recipe, plan, i)
        dear = seconds > 0.3 * stage.total_seconds and size <= LARGE_CACHE
        if dear and not recipe.loading.cache_features and _repeats(recipe, plan, i):
            found.append(_encoding_again(stage, seconds) + f", in {size / 1e9:,.2g} GB on disk")
    return list(dict.fromkeys(found))


def _pictures(recipe: Recipe, plan: CostPlan, index: int) -> float:
    """Of the datasets that a stage draws from."""
    mixture = recipe.stages[index].mixture
    return sum((size.records or 0) * size.media for name, size in plan.datasets.items() if name in mixture)


def _repeats(recipe: Recipe, plan: CostPlan, index: int) -> bool:
    return plan.stages[index].encoded > 1.5 * _pictures(recipe, plan, index)


def _large_cache(stage: StageCost) -> list[str]:
    if stage.cache_bytes <= LARGE_CACHE:
        return []
    return [
        f"{stage.name}: the feature cache takes {stage.cache_bytes / 1e9:,.0f} GB on disk; with "
        "loading.cache_features=false pictures are encoded as they come"
    ]


def _encoding_again(stage: StageCost, seconds: float) -> str:
    return (
        f"{stage.name}: encoding the same pictures again and again takes {duration(seconds)}; "
        "loading.cache_features=true encodes each once"
    )
