"""Attention of the adapters: from projected queries, keys and values to what the heads put together."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn.functional import scaled_dot_product_attention


def split(x: Tensor, heads: int) -> Tensor:
    """`[N, L, W]` to one piece per head, `[N, H, L, W / H]`."""
    return x.reshape(*x.shape[:2], heads, -1).transpose(1, 2)


def attend(query: Tensor, key: Tensor, value: Tensor, mask: Tensor | None = None, dropout: float = 0.0) -> Tensor:
    """`[N, L, W]` of queries `[N, H, L, W / H]` over keys and values `[N, H, S, W / H]`.

    Args:
        query: One piece per head.
        key: The same.
        value: The same.
        mask: Broadcastable to `[N, H, L, S]`; true where a query sees a key. Each query must see one.
        dropout: Of attention weights.
    """
    if _better_by_products(query, dropout):
        scores = (query @ key.transpose(-1, -2)) * query.shape[-1] ** -0.5
        shares = (scores if mask is None else scores.masked_fill(~mask, float("-inf"))).softmax(dim=-1)
        attended: Tensor = shares @ value
        return attended.transpose(1, 2).flatten(2)
    out = scaled_dot_product_attention(query, key, value, attn_mask=mask, dropout_p=dropout)
    return out.transpose(1, 2).flatten(2)


def _better_by_products(query: Tensor, dropout: float) -> bool:
    """PyTorch's fused kernel of the CPU takes five times as long for a gradient in bfloat16 at these short lengths."""
    return query.device.type == "cpu" and query.dtype == torch.bfloat16 and query.requires_grad and not dropout
