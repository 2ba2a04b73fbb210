"""Attention of the adapters: from projected queries, keys and values to what the heads put together."""

from __future__ import annotations

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
    out = scaled_dot_product_attention(query, key, value, attn_mask=mask, dropout_p=dropout)
    return out.transpose(1, 2).flatten(2)
