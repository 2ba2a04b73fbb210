"""A causal language model as shapes: on the meta device, where code that looks at values is told what to assume.

Two things in transformers' models look at values: which expert a token goes to, and which positions a mask picks. A
token goes to `top_k` experts whatever the values are, so one expert stands for all; a mask is taken to pick everything.
"""

from __future__ import annotations

import weakref
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any
from weakref import WeakKeyDictionary

import torch
from torch import Tensor, nn
from torch.fx.experimental import _config as fx
from torch.nn import functional

from triptych.kernels import fast

TRIED = 4
"""Tokens of the row that a way of reading is tried on."""

EXPERTS = "triptych_shapes"
"""The implementation of experts by its name in a transformers configuration."""


def experts(
    module: Any, hidden_states: Tensor, top_k_index: Tensor, top_k_weights: Tensor, *_: Any, **__: Any
) -> Tensor:
    """Experts of transformers' interface: `[N, D]` to `[N, D]`; each token takes the first expert `top_k` times."""
    chosen = top_k_index.shape[-1]
    rows = hidden_states.repeat_interleave(chosen, dim=0)
    name = "gate_up_proj" if module.has_gate else "up_proj"
    inner = _product(module, rows, name)
    inner = module._apply_gate(inner) if module.has_gate else module.act_fn(inner)
    out = _product(module, inner, "down_proj")
    if getattr(module, "has_post_expert_norm", False):
        out = module.post_expert_norm(out)
    out = out * top_k_weights.reshape(-1, 1).to(out.dtype)
    return out.view(len(hidden_states), chosen, -1).sum(dim=1).to(hidden_states.dtype)


def _product(module: Any, rows: Tensor, name: str) -> Tensor:
    weight = getattr(module, name)[0]
    bias = getattr(module, f"{name}_bias")[0] if module.has_bias else None
    return functional.linear(rows, weight.transpose(0, 1) if module.is_transposed else weight, bias)


@contextmanager
def values_assumed(model: nn.Module) -> Iterator[None]:
    """Let a model's code run on the meta device; transformers' settings are as before afterwards."""
    from transformers.integrations.moe import ALL_EXPERTS_FUNCTIONS

    ALL_EXPERTS_FUNCTIONS.register(EXPERTS, experts)
    configs: dict[int, Any] = {
        id(module.config): module.config
        for module in model.modules()
        if hasattr(module, "_apply_gate") and hasattr(module, "has_gate")
    }
    before = {key: config._experts_implementation for key, config in configs.items()}
    assumed = fx.meta_nonzero_assume_all_nonzero
    fx.meta_nonzero_assume_all_nonzero = True
    try:
        for config in configs.values():
            config._experts_implementation = EXPERTS
        yield
    finally:
        fx.meta_nonzero_assume_all_nonzero = assumed
        for key, config in configs.items():
            config._experts_implementation = before[key]


Reader = Callable[[Tensor, Tensor], Tensor]
"""Hidden states `[R, L, D]` of embeddings `[R, L, D]` at positions `[R, L]`."""

_READERS: WeakKeyDictionary[nn.Module, Reader] = WeakKeyDictionary()


def reader(language: Any) -> Reader:
    """How a language model on the meta device is read: by the first way that it takes. Call it inside `values_assumed`.

    Raises:
        RuntimeError: It takes none; the reason is that of the first.
    """
    if language.model in _READERS:
        return _READERS[language.model]
    embeddings = torch.empty(1, TRIED, language.dim, dtype=language.embedding.weight.dtype, device="meta")
    reason: Exception | None = None
    ways = [_masked, _padded, _unmasked, _by_ids]
    if language.config._attn_implementation == fast.NAME:
        ways.insert(0, _as_documents)
    for way in ways:
        try:
            with torch.no_grad():
                way(language, embeddings, torch.zeros(1, TRIED, dtype=torch.long, device="meta"))
        except Exception as error:  # whatever a model's code raises without values
            reason = reason or error
            continue
        # The model is the key: what is kept for it must not hold it.
        _READERS[language.model] = partial(_read, way, weakref.ref(language))
        return _READERS[language.model]
    raise RuntimeError(f"{type(language.model).__name__} does not run without values ({reason})") from reason


def _read(way: Callable[[Any, Tensor, Tensor], Tensor], language: Any, embeddings: Tensor, positions: Tensor) -> Tensor:
    return way(language(), embeddings, positions)


def _as_documents(language: Any, embeddings: Tensor, positions: Tensor) -> Tensor:
    hidden: Tensor = language(embeddings, positions, positions)
    return hidden


def _masked(language: Any, embeddings: Tensor, positions: Tensor) -> Tensor:
    # Without a mask transformers looks for packed documents in the positions, which have no values here.
    rows, length = positions.shape
    mask = torch.ones(rows, 1, length, length, dtype=torch.bool, device="meta")
    hidden: Tensor = language(embeddings, positions, None, mask)
    return hidden


def _padded(language: Any, embeddings: Tensor, positions: Tensor) -> Tensor:
    hidden: Tensor = language(embeddings, positions, None, torch.ones_like(positions))
    return hidden


def _unmasked(language: Any, embeddings: Tensor, positions: Tensor) -> Tensor:
    hidden: Tensor = language(embeddings, positions)
    return hidden


def _by_ids(language: Any, embeddings: Tensor, positions: Tensor) -> Tensor:
    """Of ids, with the embeddings in place of what they are looked up as: for models that look ids up once more."""
    hook = language.embedding.register_forward_hook(lambda *_: embeddings.clone())  # CTRL scales them in place
    mask = torch.ones(positions.shape[0], 1, positions.shape[1], positions.shape[1], dtype=torch.bool, device="meta")
    try:
        hidden: Tensor = language.model.get_decoder()(
            input_ids=positions, attention_mask=mask, position_ids=positions, use_cache=False
        )[0]
    finally:
        hook.remove()
    return hidden
