"""Rows of queries and keys in the two orders that rotary positions are written in.

Meta's LLaMA and llama.cpp rotate neighbours (0 with 1, 2 with 3, …); transformers rotates halves (0 with d/2, …).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from torch import Tensor


def interleave(rows: Tensor, heads: int) -> Tensor:
    """Rows `[heads * d, …]` of projections that rotate halves, in the order of those that rotate neighbours."""
    return rows.reshape(heads, 2, -1, *rows.shape[1:]).transpose(1, 2).reshape(rows.shape)


def separate(rows: Tensor, heads: int) -> Tensor:
    """The inverse of `interleave`."""
    return rows.reshape(heads, -1, 2, *rows.shape[1:]).transpose(1, 2).reshape(rows.shape)


def heads_of(layer: str, config: Mapping[str, Any]) -> int | None:
    """How many heads a projection of queries or keys has; None for other layers.

    Args:
        layer: Its name in a LLaMA of transformers.
        config: The values of the model's configuration.
    """
    match layer.rpartition(".")[2]:
        case "q_proj":
            return int(config["num_attention_heads"])
        case "k_proj":
            return int(config.get("num_key_value_heads") or config["num_attention_heads"])
        case _:
            return None
