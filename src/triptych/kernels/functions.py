"""Arithmetic with hand-written derivatives, for the CPU.

Short packed rows spend a third of a training step outside matrix products when every operation is a link of
the autograd graph. These functions compute the same values with fewer passes over memory; what each saves is
measured in `benchmarks/`.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.nn import functional


class RMSNorm(torch.autograd.Function):
    """x · w / sqrt(mean(x²) + ε) (Zhang and Sennrich, 2019); the mean is taken in float32 at least."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, epsilon: float) -> Tensor:
        wide = torch.promote_types(x.dtype, torch.float32)
        norm = torch.linalg.vector_norm(x, dim=-1, keepdim=True, dtype=wide)
        inverse = norm.square_().mul_(1 / x.shape[-1]).add_(epsilon).rsqrt_().to(x.dtype)
        normalised = x * inverse
        ctx.save_for_backward(normalised, inverse, weight)
        out: Tensor = normalised * weight
        return out

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, Tensor | None, None]:
        normalised, inverse, weight = ctx.saved_tensors
        wide = torch.promote_types(gradient.dtype, torch.float32)
        to_weight = None
        if ctx.needs_input_grad[1]:
            product = gradient * normalised
            to_weight = product.flatten(0, -2).sum(0, dtype=wide).to(weight.dtype)
        to_normalised = gradient * weight
        mean = (to_normalised * normalised).sum(-1, keepdim=True, dtype=wide).mul_(1 / weight.shape[0])
        to_x = to_normalised.addcmul_(normalised, mean.to(gradient.dtype), value=-1).mul_(inverse)
        return to_x, to_weight, None


class Rotary(torch.autograd.Function):
    """Rotary positions (Su et al., 2021) on `[..., H, D]`, halves rotated against each other."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
        ctx.save_for_backward(cos, sin)
        return _rotate(x, cos, sin, 1)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None, None]:
        cos, sin = ctx.saved_tensors
        return _rotate(gradient, cos, sin, -1), None, None


def _rotate(x: Tensor, cos: Tensor, sin: Tensor, sign: int) -> Tensor:
    first, second = x.chunk(2, -1)
    out = torch.empty_like(x, memory_format=torch.contiguous_format)
    out_first, out_second = out.chunk(2, -1)
    torch.mul(first, cos, out=out_first)
    out_first.addcmul_(second, sin, value=-sign)
    torch.mul(second, cos, out=out_second)
    out_second.addcmul_(first, sin, value=sign)
    return out


class SwiGLU(torch.autograd.Function):
    """silu(gate) · up (Shazeer, 2020)."""

    @staticmethod
    def forward(ctx: Any, gate: Tensor, up: Tensor) -> Tensor:
        ctx.save_for_backward(gate, up)
        return functional.silu(gate).mul_(up)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, Tensor]:
        gate, up = ctx.saved_tensors
        to_up = functional.silu(gate).mul_(gradient)
        return torch.ops.aten.silu_backward(gradient * up, gate), to_up


class Attention(torch.autograd.Function):
    """softmax(q kᵀ · scale + bias) v by plain matrix products, keys shared by groups of query heads.

    For rows of a few hundred tokens this takes a third of the time of PyTorch's fused CPU kernel, whose
    backward pass is made for long rows; it holds the scores in memory. Where every query is known to see only
    the keys up to its own place (`causal`; the bias says so too), queries are taken in blocks, and what lies
    behind a block is neither computed nor kept. Keys may begin before the queries do: what was read earlier.
    """

    @staticmethod
    def forward(
        ctx: Any, query: Tensor, key: Tensor, value: Tensor, bias: Tensor | None, scale: float, causal: bool = False
    ) -> Tensor:
        batch, heads, length, width = query.shape
        shared = key.shape[1]
        keys = key.shape[2]
        k = key.reshape(batch * shared, keys, width)
        v = value.reshape(batch * shared, keys, width)
        out = query.new_empty(batch, length, heads, width).transpose(1, 2)
        saved: list[Tensor] = []
        for start, end in _blocks(length, causal):
            seen = keys - length + end if causal else keys
            q = query[:, :, start:end].reshape(batch * shared, -1, width) * scale
            scores = torch.bmm(q, k[:, :seen].transpose(1, 2)).view(batch, heads, end - start, seen)
            if bias is not None:
                scores += bias[:, :, start:end, :seen]
            weights = torch.softmax(scores, -1).view(batch * shared, -1, seen)
            out[:, :, start:end] = torch.bmm(weights, v[:, :seen]).view(batch, heads, end - start, width)
            saved += (q, weights)
        ctx.save_for_backward(k, v, *saved)
        ctx.shape, ctx.shared, ctx.scale, ctx.causal = query.shape, shared, scale, causal
        return out

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, Tensor, Tensor, None, None, None]:
        k, v, *saved = ctx.saved_tensors
        batch, heads, length, width = ctx.shape
        to_q = gradient.new_empty(batch, length, heads, width).transpose(1, 2)
        # The gradients of keys are sums over the blocks: kept in float32, so that their number does not show.
        to_k, to_v = (
            torch.zeros(k.shape, dtype=torch.promote_types(k.dtype, torch.float32), device=k.device) for _ in "kv"
        )
        for (start, end), q, weights in zip(_blocks(length, ctx.causal), saved[::2], saved[1::2], strict=True):
            seen = weights.shape[-1]
            to_out = gradient[:, :, start:end].reshape(batch * ctx.shared, -1, width)
            to_v[:, :seen] += torch.bmm(weights.transpose(1, 2), to_out)
            to_weights = torch.bmm(to_out, v[:, :seen].transpose(1, 2))
            to_scores = torch.ops.aten._softmax_backward_data(to_weights, weights, -1, weights.dtype)
            to_k[:, :seen] += torch.bmm(to_scores.transpose(1, 2), q)
            to_q[:, :, start:end] = (
                torch.bmm(to_scores, k[:, :seen]).mul_(ctx.scale).view(batch, heads, end - start, width)
            )
        to_k, to_v = (to.to(k.dtype).view(batch, ctx.shared, -1, width) for to in (to_k, to_v))
        return to_q, to_k, to_v, None, None, None


BLOCK = 64
"""Queries that are taken at one time: few enough that their scores stay in the processor's cache."""


def _blocks(length: int, causal: bool) -> list[tuple[int, int]]:
    """Start and end of blocks of queries."""
    size = BLOCK if causal else length
    return [(start, min(start + size, length)) for start in range(0, length, size)]
