"""Packed linear layers: the values and gradients of plain ones, whatever happens to the weight."""

from __future__ import annotations

import copy

import pytest
import torch
from torch import nn

from triptych.kernels.packed import PackedLinear, available, pack, release

pytestmark = pytest.mark.skipif(not available(), reason="this processor has no bfloat16 products")


def pair(bias: bool) -> tuple[nn.Linear, nn.Linear]:
    torch.manual_seed(0)
    plain = nn.Sequential(nn.Linear(48, 80, bias=bias)).bfloat16().requires_grad_(False)
    packed = copy.deepcopy(plain)
    pack(packed)
    assert isinstance(packed[0], PackedLinear)
    return plain[0], packed[0]  # type: ignore[return-value]


@pytest.mark.parametrize("bias", [False, True])
def test_values_and_the_inputs_gradient_are_those_of_a_plain_layer(bias: bool) -> None:
    plain, packed = pair(bias)
    results = []
    for layer in (plain, packed):
        x = torch.linspace(-1, 1, 3 * 7 * 48).view(3, 7, 48).bfloat16().requires_grad_()
        out = layer(x)
        out.float().square().sum().backward()
        assert x.grad is not None
        results.append((out.detach().float(), x.grad.float()))
    for expected, found in zip(*results, strict=True):
        torch.testing.assert_close(found, expected, rtol=0.02, atol=0.02)


def test_a_weight_that_changes_is_packed_again() -> None:
    plain, packed = pair(True)
    x = torch.ones(2, 48).bfloat16()
    first = packed(x)
    for layer in (plain, packed):
        with torch.no_grad():
            layer.weight.mul_(-2)
    assert not torch.equal(first, packed(x))
    torch.testing.assert_close(packed(x).float(), plain(x).float(), rtol=0.02, atol=0.02)


@pytest.mark.parametrize("name", ["weight", "bias"])
def test_what_is_trained_gets_its_gradient(name: str) -> None:
    plain, packed = pair(True)
    x = torch.linspace(-1, 1, 96).view(2, 48).bfloat16()
    gradients = []
    for layer in (plain, packed):
        layer.get_parameter(name).requires_grad_()
        layer(x).float().square().sum().backward()
        gradients.append(layer.get_parameter(name).grad)
    torch.testing.assert_close(gradients[1], gradients[0])


def test_other_precisions_pass() -> None:
    layer = PackedLinear(8, 8).requires_grad_(False)
    x = torch.randn(2, 8)
    torch.testing.assert_close(layer(x), nn.functional.linear(x, layer.weight, layer.bias))


def test_copies_can_be_dropped_and_come_back() -> None:
    _, packed = pair(True)
    x = torch.ones(2, 48).bfloat16()
    before = packed(x)
    assert isinstance(packed, PackedLinear) and packed._packed is not None
    release(packed)
    assert packed._packed is None
    assert torch.equal(packed(x), before)
