"""Calling a transformers model in the way that its capabilities say: embeddings in, hidden states out, logits on demand."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from triptych.kernels import fast
from triptych.language.capabilities import Capabilities
from triptych.language.layers import decoder_of

if TYPE_CHECKING:
    from transformers import Cache


def embed(model: Any, capabilities: Capabilities, ids: Tensor) -> Tensor:
    """Embeddings `[..., D]` of ids `[...]`, at the scale at which the decoder reads embeddings that it is given."""
    embedded: Tensor = model.get_input_embeddings()(ids)
    return embedded if capabilities.embedding_scale == 1 else embedded * capabilities.embedding_scale


def hidden_states(
    model: Any,
    capabilities: Capabilities,
    embeddings_RLD: Tensor,
    positions_RL: Tensor,
    documents: Tensor | None = None,
    mask: Tensor | None = None,
    cache: Cache | None = None,
    ids: Tensor | None = None,
) -> Tensor:
    """The last hidden states `[R, L, D]`; see `LanguageModel.forward`."""
    attention: Tensor | None = None
    if documents is not None:
        if capabilities.packing == "mask":
            attention = fast.packed_bias(documents, embeddings_RLD.dtype)
    elif mask is not None:
        if capabilities.accelerated:
            attention = fast.padded_bias(mask, embeddings_RLD.shape[1], embeddings_RLD.dtype)
        else:
            attention = mask if capabilities.masks_past else mask[:, -embeddings_RLD.shape[1] :]
    arguments: dict[str, Any] = {}
    if capabilities.positions:
        arguments["position_ids"] = (
            positions_RL + capabilities.first_position if capabilities.first_position else positions_RL
        )
    if capabilities.masks or capabilities.packing == "mask":
        arguments["attention_mask"] = attention
    if cache is not None:
        arguments[capabilities.cache_argument] = cache
    decoder = decoder_of(model)
    if capabilities.reads_ids:
        arguments["per_layer_inputs"] = _per_layer(decoder, embeddings_RLD, ids)
    # Some classes of transformers change what they are given in place (GIT adds positions, CTRL scales).
    found = decoder(inputs_embeds=embeddings_RLD.clone(), use_cache=cache is not None, **arguments)
    # Some keep what they add up in float32 (Falcon Mamba), and cast it in front of the head.
    hidden: Tensor = found.last_hidden_state.to(embeddings_RLD.dtype)
    return hidden


def _per_layer(decoder: Any, embeddings_RLD: Tensor, ids_RL: Tensor | None) -> Tensor:
    """What each layer reads of the ids; ids of tokens that were added have none of their own, and read that of padding.

    Raises:
        ValueError: There are no ids.
    """
    if ids_RL is None:
        if not embeddings_RLD.is_meta:
            raise ValueError(f"{type(decoder).__name__} reads ids beside embeddings, and there are none")
        ids_RL = torch.zeros(embeddings_RLD.shape[:2], dtype=torch.long, device="meta")
    rows = int(decoder.config.vocab_size_per_layer_input)
    inputs: Tensor = decoder.get_per_layer_inputs(ids_RL.masked_fill(ids_RL >= rows, 0))
    return inputs


def logits(
    model: Any, capabilities: Capabilities, hidden: Tensor, extend: Callable[[Tensor, Tensor], Tensor] | None = None
) -> Tensor:
    """Logits `[..., V]` of hidden states `[..., D]`.

    Args:
        model: The causal language model.
        capabilities: Whether its head alone makes them.
        hidden: The decoder's output.
        extend: Called with what the head reads and what it returns; its result takes the place of the latter, before
            the model scales or caps it.
    """
    head = model.get_output_embeddings()
    if not capabilities.own_head:
        plain: Tensor = head(hidden)
        return plain if extend is None else extend(hidden, plain)
    flat = hidden.reshape(1, -1, hidden.shape[-1])
    with _decoded(model, flat), _extended(head, extend):
        found: Tensor = model(inputs_embeds=flat, use_cache=False).logits
    return found.reshape(*hidden.shape[:-1], found.shape[-1])


class _Decoded(tuple[Any, ...]):
    """What a decoder returns, of which only the hidden states are known; everything else is None."""

    @property
    def last_hidden_state(self) -> Tensor:
        hidden: Tensor = self[0]
        return hidden

    def __getattr__(self, name: str) -> None:
        if name.startswith("__"):
            raise AttributeError(name)

    def __getitem__(self, index: Any) -> Any:
        return super().__getitem__(index) if isinstance(index, slice) or index == 0 else None


@contextmanager
def _decoded(model: Any, hidden: Tensor) -> Iterator[None]:
    """The decoder returns these hidden states, whatever it is given."""
    decoder = decoder_of(model)
    decoder.forward = lambda *_args, **_options: _Decoded((hidden,))
    try:
        yield
    finally:
        del decoder.forward


@contextmanager
def _extended(head: Any, extend: Callable[[Tensor, Tensor], Tensor] | None) -> Iterator[None]:
    if extend is None:
        yield
        return
    handle = head.register_forward_hook(lambda _module, inputs, output: extend(inputs[0], output))
    try:
        yield
    finally:
        handle.remove()


def finite(*tensors: Tensor) -> bool:
    """Whether tensors hold numbers alone."""
    return all(bool(torch.isfinite(tensor).all()) for tensor in tensors)
