"""Attention on the CPU by plain matrix products, and by PyTorch's fused kernels elsewhere.

PyTorch's fused CPU kernel is made for long sequences: at the few hundred positions of a picture it takes in bfloat16
more than twice the time of two matrix products and a softmax, done for as many queries, or as many small pictures, at
once as the processor's cache holds. Where something learns, its backward pass is slower still: forward and backward of the
50 positions of a ViT-B/32 take a fifth of its time by products (`functions.Attention`).
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn.functional import scaled_dot_product_attention

from triptych.kernels import functions

LONGEST = 512
"""Keys up to which attention that learns is done by products, which keep the weights of every pair of positions."""

SCORES = 2**21
"""Scores that are held at one time: 4 MB in bfloat16."""


def attend(query: Tensor, key: Tensor, value: Tensor, mask: Tensor | None = None, causal: bool = False) -> Tensor:
    """What the heads put together, `[N, Q, H * D]`.

    Args:
        query: `[N, H, Q, D]`.
        key: `[N, H, S, D]`.
        value: `[N, H, S, D]`.
        mask: Broadcastable to `[N, H, Q, S]`; true where a query sees a key. Each query must see one.
        causal: A query sees no key behind its own place (instead of a mask).
    """
    learns = torch.is_grad_enabled() and (query.requires_grad or key.requires_grad or value.requires_grad)
    low = query.device.type == "cpu" and query.dtype == torch.bfloat16
    if low and learns and key.shape[2] <= LONGEST:
        bias = _bias(query, key, mask, causal)
        learned: Tensor = functions.Attention.apply(query, key, value, bias, query.shape[-1] ** -0.5, causal)  # type: ignore[no-untyped-call]
        return learned.transpose(1, 2).flatten(2)
    if not low or learns or causal or mask is not None:
        out = scaled_dot_product_attention(query, key, value, attn_mask=mask, is_causal=causal)
        return out.transpose(1, 2).flatten(2)
    count, heads, length, width = query.shape
    together = SCORES // (heads * length * key.shape[2])
    if together < 2:
        return by_products(query, key, value, width**-0.5).flatten(2)
    groups = []
    for start in range(0, count, together):
        here = slice(start, start + together)
        weights = torch.softmax(torch.matmul(query[here] * width**-0.5, key[here].transpose(-1, -2)), -1)
        groups.append(torch.matmul(weights, value[here]).transpose(1, 2).flatten(2))
    return torch.cat(groups)


def _bias(query: Tensor, key: Tensor, mask: Tensor | None, causal: bool) -> Tensor | None:
    """What is added to the scores, `[N or 1, 1, Q or 1, S]`: 0 where a query sees a key, -inf elsewhere."""
    if causal:
        length = query.shape[2]
        mask = torch.ones(length, key.shape[2], dtype=torch.bool, device=query.device).tril_()[None, None]
    if mask is None:
        return None
    return torch.zeros(mask.shape, dtype=query.dtype, device=query.device).masked_fill_(~mask, float("-inf"))


def by_products(query: Tensor, key: Tensor, value: Tensor, scale: float) -> Tensor:
    """`[N, Q, H, D]` of queries `[N, H, Q, D]` that see all of keys and values `[N, H, S, D]`; no gradients."""
    count, heads, length, width = query.shape
    size = max(1, SCORES // (heads * key.shape[2]))
    out = query.new_empty(count, length, heads, width)
    for picture in range(count):
        keys, values = key[picture].transpose(1, 2), value[picture].contiguous()
        for start in range(0, length, size):
            queries = query[picture, :, start : start + size] * scale
            weights = torch.softmax(torch.bmm(queries, keys), -1)
            out[picture, start : start + size] = torch.bmm(weights, values).transpose(0, 1)
    return out
