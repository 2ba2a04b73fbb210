"""LAMB by hand, in the optimiser, and rates that fall from layer to layer."""

from __future__ import annotations

import math

import pytest
import torch
from torch import nn

from triptych.training.config import StageConfig
from triptych.training.lamb import Lamb
from triptych.training.layer_decay import layer_factors
from triptych.training.optimiser import Optimiser


def stage(**changes: object) -> StageConfig:
    values = {"name": "s", "train": ["vision"], "mixture": {"d": 1}, "steps": 4, "schedule": "constant", "warmup": 0.0}
    return StageConfig.model_validate(values | changes)


def test_two_steps_worked_out_by_hand() -> None:
    x = nn.Parameter(torch.tensor([3.0, 4.0]))
    optimiser = Lamb([{"params": [x], "lr": 0.1, "weight_decay": 0.5}], betas=(0.9, 0.99), eps=1e-6)
    value, m, v = [3.0, 4.0], [0.0, 0.0], [0.0, 0.0]
    for step, gradient in enumerate(([1.0, -2.0], [0.5, 0.5]), start=1):
        x.grad = torch.tensor(gradient)
        optimiser.step()
        m = [0.9 * a + 0.1 * g for a, g in zip(m, gradient, strict=True)]
        v = [0.99 * a + 0.01 * g * g for a, g in zip(v, gradient, strict=True)]
        update = [
            (a / (1 - 0.9**step)) / (math.sqrt(b / (1 - 0.99**step)) + 1e-6) + 0.5 * w
            for a, b, w in zip(m, v, value, strict=True)
        ]
        ratio = math.hypot(*value) / math.hypot(*update)
        value = [w - 0.1 * ratio * u for w, u in zip(value, update, strict=True)]
        assert x.tolist() == pytest.approx(value, rel=1e-5)


def test_a_step_is_as_long_as_the_rate_says() -> None:
    """Whatever the size of the gradient, a matrix moves by rate × its own norm; a bias moves as with Adam."""
    for size in (1e-3, 1.0, 1e3):
        layer = nn.Linear(4, 3)
        before = layer.weight.detach().clone()
        nn.init.zeros_(layer.bias)
        parameters = {f"vision.{name}": p for name, p in layer.named_parameters()}
        optimiser = Optimiser(stage(optimiser="lamb", learning_rate=0.01, clip=None), 4, {"vision": parameters})
        for parameter in layer.parameters():
            parameter.grad = size * torch.randn_like(parameter)
        optimiser.step(0)
        moved = (layer.weight - before).norm() / before.norm()
        assert float(moved) == pytest.approx(0.01, rel=1e-3)
        assert layer.bias.abs().tolist() == pytest.approx([0.01] * 3, rel=1e-3)


def test_state_goes_on_where_it_was() -> None:
    def run(resume: bool) -> torch.Tensor:
        torch.manual_seed(0)
        weight = nn.Parameter(torch.randn(3, 3))
        trained = {"vision": {"vision.a.weight": weight}}
        optimiser = Optimiser(stage(optimiser="lamb"), 4, trained)
        for step in range(4):
            weight.grad = torch.full((3, 3), float(step + 1)) * weight.detach().sign()
            optimiser.step(step)
            if resume and step == 1:
                state = {name: tensor.clone() for name, tensor in optimiser.state().items()}
                optimiser = Optimiser(stage(optimiser="lamb"), 4, trained)
                optimiser.load_state(state)
        return weight.detach()

    assert torch.equal(run(False), run(True))


def test_lower_layers_have_lower_rates() -> None:
    names = ["vision.patches.weight", "vision.positions", "vision.blocks.0.attention.qkv.weight",
             "vision.blocks.1.attention.qkv.weight", "vision.norm.weight", "vision.projection.weight"]  # fmt: skip
    factors = layer_factors(names, 0.5)
    assert list(factors.values()) == [0.125, 0.125, 0.25, 0.5, 1.0, 1.0]
    parameters = {name: nn.Parameter(torch.ones(2, 2)) for name in names}
    optimiser = Optimiser(stage(layer_decay={"vision": 0.5}, learning_rate=0.8, clip=None), 4, {"vision": parameters})
    for parameter in parameters.values():
        parameter.grad = torch.ones(2, 2)
    assert optimiser.step(0) == {"vision": 0.8}
    moved = {name: float(1 - parameter.detach()[0, 0]) for name, parameter in parameters.items()}
    assert moved["vision.norm.weight"] == pytest.approx(0.8, rel=1e-4)
    for name, factor in factors.items():
        assert moved[name] == pytest.approx(0.8 * factor, rel=1e-4)
