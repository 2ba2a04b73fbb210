"""A cache of keys and values that has room for what comes next.

transformers' dynamic cache copies everything that was read for every token that is written; here a token is written
into its place, and what was read stays where it is until the room is used up.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor
from transformers import Cache, DynamicCache
from transformers.cache_utils import DynamicLayer

from triptych.language.capabilities import Capabilities

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
            self.hold(keys, values, end)

    def rows(self, start: int, end: int) -> RoomyLayer:
        """Some of the rows as a layer of their own; what is appended to it does not show here."""
        layer = RoomyLayer()
        if length := self.get_seq_length():
            layer.hold(self.whole[0][start:end], self.whole[1][start:end], length)
        return layer

    def hold(self, keys: Tensor, values: Tensor, length: int) -> None:
        """Take tensors whose first `length` positions are in use."""
        self.lazy_initialization(keys, values)
        self.whole = (keys, values)
        self.keys, self.values = keys[..., :length, :], values[..., :length, :]


def _longer(tensor: Tensor, used: int, length: int) -> Tensor:
    out = tensor.new_empty(*tensor.shape[:-2], length, tensor.shape[-1])
    out[..., :used, :] = tensor[..., :used, :]
    return out


def roomy_cache(config: Any) -> Cache:
    """A dynamic cache for a model of this configuration; layers that see only a window stay as transformers made them."""
    cache = DynamicCache(config=config)
    cache.layers = [RoomyLayer() if type(layer) is DynamicLayer else layer for layer in cache.layers]
    return cache


def divisible(cache: Cache | Transcript) -> bool:
    """Whether the cache can be taken apart into rows and put together again."""
    return isinstance(cache, Cache) and all(isinstance(layer, RoomyLayer) for layer in cache.layers)


def rows_of(cache: Cache, start: int, end: int) -> Cache:
    """Some rows of a divisible cache as a cache of their own."""
    return Cache(layers=[layer.rows(start, end) for layer in cache.layers])


def joined(caches: Sequence[Cache]) -> Cache:
    """The rows of divisible caches one under another, aligned at their ends, zeros in front of the shorter ones."""
    if len(caches) == 1:
        return caches[0]
    layers = []
    for parts in zip(*(cache.layers for cache in caches), strict=True):
        layer = RoomyLayer()
        layer.hold(_aligned([p.keys for p in parts]), _aligned([p.values for p in parts]), _longest(parts))
        layers.append(layer)
    return Cache(layers=layers)


def _longest(parts: Sequence[RoomyLayer]) -> int:
    return max(int(part.get_seq_length()) for part in parts)


def _aligned(tensors: Sequence[Tensor]) -> Tensor:
    length = max(tensor.shape[-2] for tensor in tensors)
    rows, heads, width = sum(map(len, tensors)), tensors[0].shape[1], tensors[0].shape[-1]
    out = tensors[0].new_zeros(rows, heads, length + ROOM, width)
    start = 0
    for tensor in tensors:
        out[start : start + len(tensor), :, length - tensor.shape[-2] : length] = tensor
        start += len(tensor)
    return out


class Transcript:
    """In place of a cache, for models that have none that can be trusted: what was read, to be read again.

    Args:
        embeddings: `[R, L, D]`, None at first.
        positions: `[R, L]`.
    """

    def __init__(self) -> None:
        self.embeddings: Tensor | None = None
        self.positions: Tensor | None = None

    def extend(self, embeddings_RLD: Tensor, positions_RL: Tensor) -> tuple[Tensor, Tensor]:
        """Append what is read now; returns everything so far."""
        if self.embeddings is not None and self.positions is not None:
            embeddings_RLD = torch.cat([self.embeddings, embeddings_RLD], dim=1)
            positions_RL = torch.cat([self.positions, positions_RL], dim=1)
        self.embeddings, self.positions = embeddings_RLD, positions_RL
        return embeddings_RLD, positions_RL

    def batch_select_indices(self, indices: Tensor) -> None:
        """Keep only these rows, or repeat them."""
        if self.embeddings is not None and self.positions is not None:
            self.embeddings, self.positions = self.embeddings[indices], self.positions[indices]


def new_cache(model: Any, capabilities: Capabilities) -> Cache | Transcript:
    """An empty cache for a language model."""
    return Transcript() if capabilities.cache == "none" else roomy_cache(model.config)


def select_rows(cache: Cache | Transcript, index: Tensor) -> None:
    """Keep only these rows of a cache, or repeat them."""
    if isinstance(cache, Transcript) or divisible(cache):
        cache.batch_select_indices(index)
        return
    for layer in cache.layers:  # states of recurrences know beams only, keys and values rows too
        select = getattr(layer, "batch_select_indices", None) or layer.reorder_cache
        (layer.reorder_cache if hasattr(layer, "conv_states") else select)(index)
