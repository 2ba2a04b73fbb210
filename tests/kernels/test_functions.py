"""Hand-written derivatives against finite differences and against transformers' own modules."""

from __future__ import annotations

import pytest
import torch
from torch.nn import functional
from transformers.models.llama.modeling_llama import LlamaMLP, LlamaRMSNorm, apply_rotary_pos_emb

from tiny_world import llama
from triptych.kernels import functions
from triptych.kernels.fast import FastMLP, FastRMSNorm, packed_bias


def double(*shape: int, grad: bool = True) -> torch.Tensor:
    generator = torch.Generator().manual_seed(sum(shape))
    return torch.randn(shape, generator=generator, dtype=torch.float64).requires_grad_(grad)


def test_rms_norm_gradient() -> None:
    assert torch.autograd.gradcheck(lambda x, w: functions.RMSNorm.apply(x, w, 1e-5), (double(2, 3, 6), double(6)))


def test_rms_norm_gradient_of_a_frozen_weight() -> None:
    assert torch.autograd.gradcheck(
        lambda x: functions.RMSNorm.apply(x, double(6, grad=False), 1e-5), (double(2, 3, 6),)
    )


def test_rotary_gradient_and_norm() -> None:
    angle = double(2, 5, 1, 4, grad=False)
    cos, sin = angle.cos(), angle.sin()
    x = double(2, 5, 3, 8)
    assert torch.autograd.gradcheck(lambda y: functions.Rotary.apply(y, cos, sin), (x,))
    torch.testing.assert_close(functions.Rotary.apply(x, cos, sin).norm(dim=-1), x.norm(dim=-1))


def test_rotary_is_transformers() -> None:
    x = double(2, 5, 3, 8)
    angle = double(2, 5, 4, grad=False)
    cos, sin = (torch.cat([f, f], dim=-1) for f in (angle.cos(), angle.sin()))
    expected, _ = apply_rotary_pos_emb(x, x, cos, sin, unsqueeze_dim=2)
    torch.testing.assert_close(functions.Rotary.apply(x, angle.cos()[:, :, None], angle.sin()[:, :, None]), expected)


def test_swiglu_gradient_and_value() -> None:
    gate, up = double(2, 3, 5), double(2, 3, 5)
    assert torch.autograd.gradcheck(functions.SwiGLU.apply, (gate, up))
    torch.testing.assert_close(functions.SwiGLU.apply(gate, up), functional.silu(gate) * up)


@pytest.mark.parametrize("biased", [True, False])
def test_attention_gradient(biased: bool) -> None:
    documents = torch.tensor([[0, 0, 1, 1, -1], [2, 2, 2, 3, 3]])
    bias = packed_bias(documents, torch.float64) if biased else None
    inputs = (double(2, 4, 5, 3), double(2, 2, 5, 3), double(2, 2, 5, 3))
    assert torch.autograd.gradcheck(lambda q, k, v: functions.Attention.apply(q, k, v, bias, 0.7), inputs)


def test_attention_is_pytorchs() -> None:
    documents = torch.tensor([[0, 0, 1, 1, -1], [2, 2, 2, 3, 3]])
    bias = packed_bias(documents, torch.float64)
    query, key, value = double(2, 4, 5, 3), double(2, 2, 5, 3), double(2, 2, 5, 3)
    expected = functional.scaled_dot_product_attention(query, key, value, bias, scale=0.7, enable_gqa=True)
    torch.testing.assert_close(functions.Attention.apply(query, key, value, bias, 0.7), expected)


@pytest.mark.parametrize("length", [3, 8, 11])
def test_blocks_of_queries_change_nothing(length: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(functions, "BLOCK", 4)
    documents = torch.tensor([[0] * length, [1] * (length - 2) + [2, -1]])
    bias = packed_bias(documents, torch.float64)
    inputs = (double(2, 4, length, 3), double(2, 2, length, 3), double(2, 2, length, 3))
    whole, blocks = (functions.Attention.apply(*inputs, bias, 0.7, causal) for causal in (False, True))
    torch.testing.assert_close(blocks, whole)
    weight = double(*whole.shape, grad=False)
    gradients = (torch.autograd.grad((out * weight).sum(), inputs) for out in (whole, blocks))
    for a, b in zip(*gradients, strict=True):
        torch.testing.assert_close(b, a)


def both(original: torch.nn.Module, faster: type[torch.nn.Module], x: torch.Tensor) -> None:
    """Values and gradients of a transformers module and its faster subclass, in float32."""
    results = []
    for kind in (type(original), faster):
        original.__class__ = kind
        original.zero_grad()
        given = x.clone().requires_grad_()
        out = original(given)
        (out * torch.linspace(-1, 1, out.numel()).view_as(out)).sum().backward()
        results.append([out.detach(), given.grad, *(p.grad.clone() for p in original.parameters())])
    for expected, found in zip(*results, strict=True):
        torch.testing.assert_close(found, expected, atol=1e-6, rtol=1e-5)


def test_norm_is_transformers() -> None:
    norm = LlamaRMSNorm(16)
    torch.nn.init.normal_(norm.weight)
    both(norm, FastRMSNorm, torch.randn(2, 7, 16))


def test_mlp_is_transformers() -> None:
    both(LlamaMLP(llama()), FastMLP, torch.randn(2, 7, 32))


def test_packed_bias_lets_a_token_see_its_own_document_up_to_itself() -> None:
    documents = [0, 0, 1, 1, 1, -1]
    bias = packed_bias(torch.tensor([documents]), torch.float32)[0, 0]
    for i, mine in enumerate(documents):
        for j, other in enumerate(documents):
            assert (bias[i, j] == 0) == (mine == other and j <= i)
