"""What a plan says of BLIP-2's first stage, against steps of the real objective."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
import torch
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode

import tiny_blip2
from tiny_world import World
from triptych.console import make_console
from triptych.families.qformer import objective as objectives
from triptych.families.qformer.config import Blip2Losses
from triptych.families.qformer.model import Blip2
from triptych.families.qformer.plan import step_bytes, step_flops, step_size
from triptych.families.qformer.plan_step import StepSize
from triptych.families.qformer.shape import build_blip2_shape
from triptych.planner import DeviceSpec, plan, render
from triptych.planner.activations import kept_bytes
from triptych.planner.datasets import DatasetSize
from triptych.planner.draws import Draws
from triptych.sequence.pairs import PairBatch
from triptych.training.parts import freeze, set_mode

CPU = DeviceSpec("cpu", "a CPU", 1e12, 1e11, 2**34, 0.4, 0.0, "made up")


def pair_of_models(world: World, changes: dict[str, Any] | None = None) -> tuple[Blip2, Blip2]:
    """Real and on the meta device, both as the stage trains them."""
    recipe = tiny_blip2.recipe(world, changes)
    real, shape = (
        tiny_blip2.model(world, changes),
        build_blip2_shape(recipe, tokenizer=tiny_blip2.model(world).words.tokenizer),
    )
    for model in (real, shape):
        set_mode(model, freeze(model, recipe.stages[0]), "train")
    return real, shape


def size_of(batch: PairBatch, processes: int = 1) -> StepSize:
    longest, words = int(batch.lengths.max()), int((batch.lengths - 1).sum())
    return StepSize(len(batch), processes * len(batch), batch.ids.shape[1], longest, words)


def test_parts_are_those_of_the_model(world: World) -> None:
    model = tiny_blip2.model(world)
    for part in plan(tiny_blip2.recipe(world), "h100").parts:
        assert part.parameters == sum(p.numel() for _, p in model.part(part.name))


@pytest.mark.parametrize("weights", [{}, {"itc": 0}, {"itm": 0}, {"itg": 0}, {"itc": 0, "itg": 0}])
def test_flops_are_those_of_the_real_objective(world: World, weights: dict[str, float]) -> None:
    """To the last one: which losses send a gradient to what is the model's and autograd's matter, not the plan's."""
    real, shape = pair_of_models(world)
    batch, config = tiny_blip2.batch(real, 7), Blip2Losses(weights=weights)
    with sdpa_kernel(SDPBackend.MATH), FlopCounterMode(display=False) as counter:
        objectives.Blip2Objective(config)(real, batch).total.backward()
    assert sum(step_flops(shape, config, size_of(batch)).values()) == counter.get_total_flops()


def test_everybodys_pairs_are_counted_where_processes_share_a_batch(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    real, shape = pair_of_models(world)
    batch, config = tiny_blip2.batch(real, 5), Blip2Losses()
    monkeypatch.setattr(objectives, "gather_rows", lambda mine: (torch.cat([mine] * 3), 0))
    with sdpa_kernel(SDPBackend.MATH), FlopCounterMode(display=False) as counter:
        objectives.Blip2Objective(config)(real, batch).total.backward()
    assert sum(step_flops(shape, config, size_of(batch, processes=3)).values()) == counter.get_total_flops()


@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_activations_are_what_a_real_step_keeps(world: World, precision: str) -> None:
    real, shape = pair_of_models(world, {"model.precision": precision})
    batch, config = tiny_blip2.batch(real, 16, tokens=18), Blip2Losses()
    known = [*real.parameters(), batch.pixels]
    measured = kept_bytes(lambda: objectives.Blip2Objective(config)(real, batch).total, known)  # type: ignore[arg-type]
    assert sum(step_bytes(shape, config, size_of(batch), CPU).values()) == pytest.approx(measured, rel=0.03)


def test_texts_are_as_long_as_the_longest_of_a_batch(world: World) -> None:
    model = tiny_blip2.model(world)
    lengths = tuple([4] * 90 + [12] * 10)
    sizes = {"few": DatasetSize("few", 100, 1.0, 4.8, 0.0, "", lengths=lengths)}
    draws = Draws({"few": 1.0}, 1, 64)
    for batch in (1, 4, 64):
        expected = 4 * 0.9**batch + 12 * (1 - 0.9**batch)
        assert step_size(model, batch, 1, draws, sizes).tokens == round(max(4.8, expected))
    shared = step_size(model, 64, 8, draws, sizes)
    assert shared.pairs == 8 and shared.everybody == 64 and shared.words == round(8 * 3.8)
    unknown = {"few": DatasetSize("few", 100, 1.0, 4.8, 0.0, "")}
    assert step_size(model, 64, 1, draws, unknown).tokens == model.words.max_tokens


def test_features_are_made_once_and_kept(world: World) -> None:
    changes = {"stages.0.steps": 100}
    found = plan(tiny_blip2.recipe(world, changes), "h100").stages[0]
    assert found.encoded == 12 and found.cache_bytes == 12 * 16 * 16 * 4
    live = plan(tiny_blip2.recipe(world, changes | {"loading.cache_features": False}), "h100").stages[0]
    assert live.encoded == 600 and live.cache_bytes == 0
    assert live.flops["frozen encoder"] == pytest.approx(50 * found.flops["frozen encoder"])
    assert live.flops["matching (ITM)"] == found.flops["matching (ITM)"]


def test_what_does_not_fit_is_told_what_would(world: World) -> None:
    def recipe(batch: int) -> Any:
        return tiny_blip2.recipe(world, {"stages.0.batch_size": batch})

    small = DeviceSpec("small", "a small device", 1e12, 1e12, 2**30, 0.4, 0.0, "made up")
    small = replace(small, memory=plan(recipe(16), small).stages[0].whole_bytes)
    found = plan(recipe(64), small).suggestions
    assert "stages.0.batch_size=16 does" in found[0] and "such devices hold the whole batch" in found[1]
    devices = int(found[1].split(": ")[1].split()[0])
    assert devices >= 4 and plan(recipe(64), small, devices).stages[0].whole_bytes <= small.memory


def test_the_published_scale_is_planned_without_weights_or_tokenizer() -> None:
    from triptych.recipe import load_recipe
    from triptych.recipe.included import preset_path

    found = plan(load_recipe(preset_path("blip2")), "h100", 8)
    encoder, qformer = (next(part for part in found.parts if part.name == name) for name in ("encoder", "qformer"))
    assert encoder.parameters == pytest.approx(986e6, rel=0.01) and encoder.whole is not None
    assert qformer.parameters == pytest.approx(186e6, rel=0.01)
    stage = found.stages[0]
    # EVA's g/14 at 224 pixels: 2 FLOPs per parameter and token, and attention over 257 of them in 39 layers.
    by_hand = 2 * 257 * 986e6 + 39 * 4 * 257**2 * 1408
    assert stage.flops["frozen encoder"] / stage.samples == pytest.approx(by_hand, rel=0.02)
    with (shown := make_console()).capture() as text:
        shown.print(render(found))
    assert "matching (ITM)" in text.get() and "tokens in a text, padded" in text.get() and "rank" in text.get()
