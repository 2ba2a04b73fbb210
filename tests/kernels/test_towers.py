"""The towers' own attention against PyTorch's."""

from __future__ import annotations

import pytest
import torch
from torch import nn
from torch.nn import functional

from triptych.kernels import products, towers
from triptych.kernels.products import attend


@pytest.mark.parametrize("scores", [1, 100, 10_000])
def test_is_pytorchs(scores: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(products, "SCORES", scores)
    query, key, value = torch.randn(3, 2, 4, 7, 5, dtype=torch.float64).unbind()
    found, _ = towers.attention(nn.Module(), query, key, value, None, scaling=0.3)
    expected = functional.scaled_dot_product_attention(query, key, value, scale=0.3)
    torch.testing.assert_close(found, expected.transpose(1, 2))


def test_a_tower_that_learns_has_gradients() -> None:
    query, key, value = (x.requires_grad_() for x in torch.randn(3, 1, 2, 4, 3).unbind())
    module = nn.Module()
    module.is_causal = False  # type: ignore[assignment]
    towers.attention(module, query, key, value, None, scaling=0.3)[0].sum().backward()
    assert query.grad is not None
    assert query.grad.abs().sum() > 0


def test_the_activation_in_place_is_transformers() -> None:
    plain, fast = towers.QuickGELUActivation(), towers.InPlaceQuickGELU()
    x = torch.linspace(-6, 6, 101, dtype=torch.float64)
    with torch.no_grad():
        torch.testing.assert_close(fast(x.clone()), plain(x))
    learns = x.clone().requires_grad_()
    fast(learns).sum().backward()
    assert learns.grad is not None
    torch.testing.assert_close(learns.detach(), x)  # what a gradient needs is left as it was


@pytest.mark.parametrize("case", ["all", "causal", "mask", "one query"])
def test_attention_that_learns_in_bfloat16_has_the_gradient_of_float32(case: str) -> None:
    generator = torch.Generator().manual_seed(0)
    length = 1 if case == "one query" else 33
    query, key, value = (torch.randn(3, 2, n, 16, generator=generator).bfloat16() for n in (length, 33, 33))
    mask = (torch.arange(33) < torch.tensor([5, 33, 20])[:, None])[:, None, None] if case != "all" else None
    options = {"causal": True} if case == "causal" else {"mask": mask}
    leaves = [tensor.clone().requires_grad_() for tensor in (query, key, value)]
    out = attend(*leaves, **options)
    wanted = [tensor.float().requires_grad_() for tensor in (query, key, value)]
    expected = attend(*wanted, **options)
    assert out.shape == (3, length, 32)
    torch.testing.assert_close(out.float(), expected, atol=2e-2, rtol=2e-2)
    weights = torch.randn(expected.shape, generator=generator)
    (out.float() * weights).sum().backward()
    (expected * weights).sum().backward()
    for found, reference in zip(leaves, wanted, strict=True):
        assert found.grad is not None and reference.grad is not None
        apart = (found.grad.float() - reference.grad).norm() / reference.grad.norm()
        assert apart < 0.02
