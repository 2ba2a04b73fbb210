"""AdamW, float32 masters, rates and decay."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import pytest
import torch
from torch import nn

from triptych.errors import WeightsError
from triptych.training.config import StageConfig
from triptych.training.optimiser import Optimiser
from triptych.training.schedule import rate_factor


def stage(**changes: Any) -> StageConfig:
    values: dict[str, Any] = {"name": "s", "train": ["adapters"], "mixture": {"d": 1}, "steps": 10, "clip": None}
    return StageConfig(**(values | {"schedule": "constant", "warmup": 0.0} | changes))


def parameter(*shape: int, dtype: torch.dtype = torch.float32) -> nn.Parameter:
    return nn.Parameter(torch.randn(shape, generator=torch.Generator().manual_seed(0)).to(dtype))


def test_it_is_pytorchs_adamw() -> None:
    mine, theirs = parameter(4, 3), parameter(4, 3)
    optimiser = Optimiser(stage(learning_rate=0.1, weight_decay=0.1, betas=(0.8, 0.95)), 10, {"a": {"x.weight": mine}})
    reference = torch.optim.AdamW([theirs], lr=0.1, weight_decay=0.1, betas=(0.8, 0.95), eps=1e-8, foreach=False)
    for step in range(10):
        for weight in (mine, theirs):
            (weight.sin().sum() * (step + 1)).backward()
        optimiser.collect()
        optimiser.step(step)
        reference.step()
        reference.zero_grad()
    torch.testing.assert_close(mine, theirs)


def test_updates_too_small_for_bfloat16_add_up() -> None:
    """bfloat16 keeps 8 bits: at 1.0, steps below 0.004 are lost one by one, but not in a float32 master."""
    weight = nn.Parameter(torch.ones(8, dtype=torch.bfloat16))
    optimiser = Optimiser(stage(learning_rate=1e-4), 300, {"a": {"w": weight}})
    assert (weight - 1e-4 == 1).all()
    for step in range(300):
        weight.grad = torch.ones_like(weight)
        optimiser.collect()
        optimiser.step(step)
    assert weight.dtype == torch.bfloat16
    torch.testing.assert_close(weight.detach().float(), torch.full((8,), 0.97), atol=0.003, rtol=0)


def test_gradients_of_micro_batches_add_up_in_float32() -> None:
    weight = nn.Parameter(torch.ones(1, dtype=torch.bfloat16))
    optimiser = Optimiser(stage(), 1, {"a": {"w": weight}})
    for _ in range(100):
        weight.grad = torch.full_like(weight, 1.0)
        optimiser.collect()
        weight.grad = torch.full_like(weight, 1 / 512)
        optimiser.collect()
    assert float(optimiser.gradients()[0]) == pytest.approx(100 + 100 / 512)
    assert weight.grad is None


def test_clipping_keeps_the_direction() -> None:
    first, second = parameter(3, 2), parameter(5)
    optimiser = Optimiser(stage(clip=0.5), 1, {"a": {"x.weight": first, "y.bias": second}})
    first.grad, second.grad = torch.full((3, 2), 3.0), torch.full((5,), -4.0)
    norm = (6 * 9 + 5 * 16) ** 0.5
    assert optimiser.clip() == pytest.approx(norm)
    torch.testing.assert_close(first.grad, torch.full((3, 2), 3.0 * 0.5 / norm))
    torch.testing.assert_close(second.grad, torch.full((5,), -4.0 * 0.5 / norm))
    assert optimiser.clip() == pytest.approx(0.5)


def test_decay_takes_matrices_only() -> None:
    names = {"proj.weight": (3, 3), "proj.bias": (3,), "norm.weight": (3,), "positions": (4, 3)}
    weights = {name: parameter(*shape) for name, shape in names.items()}
    before = {name: weight.detach().clone() for name, weight in weights.items()}
    optimiser = Optimiser(stage(learning_rate=0.1, weight_decay=0.5), 1, {"a": weights})
    optimiser.step(0)  # without gradients only decay moves anything
    moved = {name for name in names if not torch.equal(weights[name], before[name])}
    assert moved == {"proj.weight"}
    torch.testing.assert_close(weights["proj.weight"].detach(), before["proj.weight"] * 0.95)


def test_parts_have_rates_of_their_own() -> None:
    config = stage(learning_rate=1.0, learning_rates={"language": 0.1}, warmup=0.5, schedule="linear")
    optimiser = Optimiser(config, 10, {"adapters": {"a": parameter(2)}, "language": {"b": parameter(2)}})
    for step in range(10):
        rates = optimiser.step(step)
        factor = rate_factor(step, 10, 0.5, "linear")
        assert rates == pytest.approx({"adapters": factor, "language": 0.1 * factor})


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_state_goes_on_bitwise(dtype: torch.dtype) -> None:
    def advance(optimiser: Optimiser, weight: nn.Parameter, steps: range) -> None:
        for step in steps:
            (weight.float().sin().sum() * (step + 1)).backward()
            optimiser.collect()
            optimiser.step(step)

    straight, stopped, resumed = (parameter(4, 3, dtype=dtype) for _ in range(3))
    whole = Optimiser(stage(learning_rate=1e-2), 8, {"a": {"w": straight}})
    advance(whole, straight, range(8))
    first = Optimiser(stage(learning_rate=1e-2), 8, {"a": {"w": stopped}})
    advance(first, stopped, range(5))
    second = Optimiser(stage(learning_rate=1e-2), 8, {"a": {"w": resumed}})
    second.load_state({name: tensor.clone() for name, tensor in first.state().items()})
    advance(second, resumed, range(5, 8))
    assert torch.equal(resumed, straight)
    assert all(torch.equal(second.state()[name], tensor) for name, tensor in whole.state().items())


@pytest.mark.parametrize("kind", ["adamw", "lamb"])
def test_each_lost_or_spoilt_tensor_of_a_state_is_an_error(kind: Any) -> None:
    first = parameter(2)
    before = Optimiser(stage(optimiser=kind), 4, {"a": {"w": first}})
    Optimiser(stage(optimiser=kind), 4, {"a": {"w": first}}).load_state(before.state())  # no update yet, no moments
    for step in range(2):
        first.grad = torch.ones_like(first)
        before.collect()
        before.step(step)
    whole = {name: tensor.clone() for name, tensor in before.state().items()}
    assert len(whole) == 4
    for name in whole:
        for spoilt in (
            {key: tensor for key, tensor in whole.items() if key != name},
            whole | {name: torch.zeros(7, 7)},
            {f"x{key}" if key == name else key: tensor for key, tensor in whole.items()},
        ):
            with pytest.raises(WeightsError, match=name):
                Optimiser(stage(optimiser=kind), 4, {"a": {"w": parameter(2)}}).load_state(spoilt, "here")


def test_state_of_other_parameters_is_an_error() -> None:
    with pytest.raises(WeightsError, match=r"missing .*master/b.*no place for 1 tensor \(master/a\)"):
        Optimiser(stage(), 1, {"a": {"b": parameter(2)}}).load_state({"master/a": torch.zeros(2)})


@pytest.mark.parametrize("schedule", ["cosine", "linear", "constant"])
def test_rates_rise_then_fall(schedule: Any) -> None:
    steps = 100
    factors = [rate_factor(step, steps, 0.1, schedule, 0.2) for step in range(steps)]
    assert factors[0] > 0
    assert all(0 < factor <= 1 for factor in factors)
    assert all(a < b for a, b in pairwise(factors[:11]))
    assert factors[10] == 1
    assert all(a >= b for a, b in pairwise(factors[10:]))
    assert factors[-1] == pytest.approx(1 if schedule == "constant" else 0.2, abs=0.02)
    if schedule == "cosine":
        assert factors[55] == pytest.approx(0.6)  # half way down from 1 to 0.2
    assert rate_factor(0, 1, 0.0, schedule) == 1
