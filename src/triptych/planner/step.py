"""What a stage costs by its real objective: a whole step runs on the meta device, forward and backward."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

from torch import Tensor
from torch.utils.flop_counter import FlopCounterMode

from triptych.data.sources import build as build_source
from triptych.errors import DataError
from triptych.model.trainable import TrainableModule
from triptych.planner.activations import KeptBytes
from triptych.planner.cost import CostPlan, StageCost, Wording
from triptych.planner.datasets import DatasetSize, check_lengths, expected_size, used
from triptych.planner.devices import DeviceSpec
from triptych.planner.draws import Draws
from triptych.planner.measure import rate
from triptych.planner.memory import passing, standing
from triptych.planner.parts import learning, parts_of
from triptych.recipe import Recipe
from triptych.sequence.batch import StepBatch
from triptych.training.config import StageConfig
from triptych.training.objectives import build as build_objective
from triptych.training.parts import freeze, set_mode

RECORDS = Wording(
    counts=(("records", "samples"), ("terms learned", "supervised")),
    row="of a record",
    flops="those of the matrix products and convolutions of a whole step, counted by PyTorch",
    data="records",
)


def plan_steps(
    recipe: Recipe,
    device: DeviceSpec,
    count: int,
    model: TrainableModule,
    batch_of: Callable[[StageConfig, int], StepBatch],
) -> CostPlan:
    """What a recipe costs, for any kind of model.

    Args:
        recipe: What to plan.
        device: What it runs on.
        count: How many of them.
        model: On the meta device.
        batch_of: Stage and number of records → a batch on the meta device.
    """
    described = parts_of(model, recipe)
    sizes = {name: record_count(name, recipe) for name in used(recipe)}
    check_lengths(recipe, sizes)
    stages = [_stage(recipe, stage, model, sizes, device, count, batch_of) for stage in recipe.stages]
    return CostPlan(recipe.name, device, count, described, sizes, stages, wording=RECORDS)


def record_count(name: str, recipe: Recipe) -> DatasetSize:
    """How many records a dataset has, opened where it is at hand."""
    config = recipe.data[name]
    try:
        records = len(build_source(config, Path(recipe.base)))
    except DataError as error:
        return expected_size(name, config, str(error))
    return DatasetSize(name, records, 1.0, 0.0, 0.0, "counted")


def _stage(
    recipe: Recipe,
    stage: StageConfig,
    model: TrainableModule,
    sizes: Mapping[str, DatasetSize],
    device: DeviceSpec,
    count: int,
    batch_of: Callable[[StageConfig, int], StepBatch],
) -> StageCost:
    trained = freeze(model, stage)
    set_mode(model, trained, "train")
    objective = build_objective(stage.objective, Path(recipe.base))
    held = min(stage.batch_size, stage.micro_rows) if objective.splittable else stage.batch_size
    parallel = min(count, -(-stage.batch_size // held)) if objective.splittable or objective.gathers else 1
    draws = Draws.of(stage, sizes)

    def loss() -> Tensor:
        return objective(model, batch_of(stage, held)).total

    with FlopCounterMode(display=False) as counter:
        total = loss()
        if total.requires_grad:
            total.backward()  # type: ignore[no-untyped-call]
    flops = counter.get_total_flops() * draws.samples / held
    for _, parameter in model.named_parameters():
        parameter.grad = None
    kept = KeptBytes(tensor for _, tensor in (*model.named_parameters(), *model.named_buffers()))
    with kept:
        total = loss()
    del total
    terms = objective.count(batch_of(stage, held)) * draws.samples / held
    memory = [*standing(model, trained, [], count), *passing({"activations": float(kept.total)}, device)]
    return StageCost(
        name=stage.name,
        learning=learning(model),
        steps=draws.steps,
        samples=draws.samples,
        tokens=0.0,
        supervised=terms,
        encoded=0.0,
        row=terms / max(1, draws.samples),
        micro_batches=-(-stage.batch_size // held),
        busy=parallel / count,
        flops={"steps": flops},
        seconds={"steps": flops / (device.utilisation * parallel * rate(model, device))},
        memory=memory,
        cache_bytes=0.0,
    )
