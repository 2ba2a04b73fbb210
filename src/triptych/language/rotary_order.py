"""Rows of queries and keys in the two orders that rotary positions are written in.

Meta's LLaMA and llama.cpp rotate neighbours (0 with 1, 2 with 3, …); transformers rotates halves (0 with d/2, …).
"""

from __future__ import annotations

from torch import Tensor


def interleave(rows: Tensor, heads: int) -> Tensor:
    """Rows `[heads * d, …]` of projections that rotate halves, in the order of those that rotate neighbours."""
    return rows.reshape(heads, 2, -1, *rows.shape[1:]).transpose(1, 2).reshape(rows.shape)


def separate(rows: Tensor, heads: int) -> Tensor:
    """The inverse of `interleave`."""
    return rows.reshape(heads, -1, 2, *rows.shape[1:]).transpose(1, 2).reshape(rows.shape)
