"""A cache of keys and values that has room for what comes next.

transformers' dynamic cache copies everything that was read for every token that is written; here a token is written
into its place, and what was read stays where it is until the room is used up.
"""

from __future__ import annotations

from typing import Any

from torch import Tensor
from transformers import Cache, DynamicCache
from transformers.cache_utils import DynamicLayer

ROOM = 64
"""Positions that are added when the room is used up."""


class RoomyLayer(DynamicLayer):  # type: ignore[misc]
    """One layer's keys and values `[B, H, L, D]`: the front of tensors that are longer."""

    def update(self, key_states: Tensor, value_states: Tensor, *args: Any, **kwargs: Any) -> tuple[Tensor, Tensor]:  # noqa: ARG002
        """Append `[B, H, N, D]`; returns everything so far. The tensors of earlier calls see no change."""
        if not self.is_initialized:
            self.lazy_initialization(key_states, value_states)
            self.whole = (key_states[..., :0, :], value_states[..., :0, :])
        past = self.get_seq_length()
        end = past + key_states.shape[-2]
        if end > self.whole[0].shape[-2]:
            self.whole = (_longer(self.whole[0], past, end + ROOM), _longer(self.whole[1], past, end + ROOM))
        keys, values = self.whole
        keys[..., past:end, :] = key_states
        values[..., past:end, :] = value_states
        self.keys, self.values = keys[..., :end, :], values[..., :end, :]
        return self.keys, self.values

    def batch_select_indices(self, indices: Tensor) -> None:
        """Keep only these rows, or repeat them."""
        if end := self.get_seq_length():
            keys, values = (whole.index_select(0, indices) for whole in self.whole)
            self.whole = (keys, values)
            self.keys, self.values = keys[..., :end, :], values[..., :end, :]


def _longer(tensor: Tensor, used: int, length: int) -> Tensor:
    out = tensor.new_empty(*tensor.shape[:-2], length, tensor.shape[-1])
    out[..., :used, :] = tensor[..., :used, :]
    return out


def roomy_cache(config: Any) -> Cache:
    """A dynamic cache for a model of this configuration; layers that see only a window stay as transformers made them."""
    cache = DynamicCache(config=config)
    cache.layers = [RoomyLayer() if type(layer) is DynamicLayer else layer for layer in cache.layers]
    return cache
