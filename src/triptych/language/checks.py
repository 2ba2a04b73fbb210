"""The comparisons of the probe: each takes a model and what is known of it so far, and returns what is known then."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor, nn

from triptych.errors import RecipeError
from triptych.language.capabilities import Capabilities
from triptych.language.forward import embed, hidden_states, logits
from triptych.language.layers import decoder_layers, decoder_of

LENGTH = 9
"""Tokens that are read: longer than the windows of a small model."""

TOLERANCE = {torch.float32: 1e-4, torch.float64: 1e-4}
"""How far numbers that should be equal may lie apart, over the largest of them; other precisions are coarser."""

COARSE = 4e-2


def tokens(model: Any, rows: int = 1, length: int = LENGTH, seed: int = 0) -> Tensor:
    """Ids `[R, L]`, none of which the configuration gives a meaning."""
    config = model.config.get_text_config(decoder=True)
    special = {v for k, v in model.config.to_dict().items() if k.endswith("token_id") and isinstance(v, int)}
    words = int(model.get_input_embeddings().weight.shape[0])
    limit = min(words, int(getattr(config, "vocab_size", words)), 120)
    plain = [i for i in range(3, limit) if i not in special] or list(range(limit))
    generator = torch.Generator().manual_seed(seed)
    order = torch.randperm(len(plain), generator=generator)
    chosen = torch.tensor(plain)[order][torch.arange(rows * length) % len(plain)].view(rows, length)
    return chosen.to(model.get_input_embeddings().weight.device)


def own_logits(model: Any, ids: Tensor) -> Tensor:
    """The model's own logits `[R, L, V]` of ids."""
    found: Tensor = model(input_ids=ids, use_cache=False).logits
    return found


def failure(model: Any) -> str:
    """Why the model's own forward pass gives no numbers; empty where it does."""
    try:
        return "" if torch.isfinite(own_logits(model, tokens(model))).all() else "its logits are not finite"
    except Exception as error:
        return line(error)


def same(found: Tensor, expected: Tensor) -> bool:
    """Whether two tensors are equal up to rounding."""
    if found.shape != expected.shape:
        return False
    tolerance = TOLERANCE.get(expected.dtype, COARSE)
    scale = float(expected.abs().max())
    return bool(torch.isfinite(found).all()) and float((found - expected).abs().max()) <= tolerance * max(scale, 1e-6)


def places(ids: Tensor) -> Tensor:
    """Positions `[R, L]` from zero."""
    return torch.arange(ids.shape[1], device=ids.device).expand(ids.shape)


def read(model: Any, capabilities: Capabilities, ids: Tensor, **options: Any) -> Tensor:
    """The hidden states `[R, L, D]` of ids from the first position on."""
    return run(model, capabilities, ids, places(ids), **options)


def run(model: Any, capabilities: Capabilities, ids: Tensor, positions: Tensor, **options: Any) -> Tensor:
    """The hidden states `[R, L, D]` of ids at positions."""
    return hidden_states(model, capabilities, embed(model, capabilities, ids), positions, ids=ids, **options)


def holds(check: Callable[[], bool]) -> bool:
    """Whether a check passes; what it raises counts as no."""
    try:
        return check()
    except Exception:
        return False


def reading(model: Any, capabilities: Capabilities) -> Capabilities:
    """How embeddings become the model's own logits: positions, scales, head; and whether it is causal at all."""
    ids = tokens(model)
    expected = own_logits(model, ids)
    changed = ids.clone()
    changed[:, -1] = tokens(model, seed=1)[:, 0]
    if not same(own_logits(model, changed)[:, :-1], expected[:, :-1]):
        return replace(capabilities, refused="it is not causal: a later token changes what is predicted before it")
    if not isinstance(model.get_input_embeddings(), nn.Embedding):
        return replace(capabilities, refused="its input embeddings are no table of tokens")
    if model.get_output_embeddings() is None:
        return replace(capabilities, refused="it has no head that makes logits")
    reason = "embeddings in place of ids give other logits than its own"
    try:
        parameters = parameters_of(decoder_of(model))
    except RecipeError as error:
        return replace(capabilities, refused=line(error))
    capabilities = replace(
        capabilities,
        positions="position_ids" in parameters,
        masks="attention_mask" in parameters,
        reads_ids="per_layer_inputs" in parameters and _has_per_layer_inputs(decoder_of(model)),
        cache_argument=next((name for name in ("cache", "past_key_values", "cache_params") if name in parameters), ""),
    )
    for candidate in _candidates(model, capabilities):
        try:
            hidden = read(model, candidate, ids)
            _read_media(model, candidate, ids)
            for own_head in (False, True):
                whole = replace(candidate, own_head=own_head)
                if holds(lambda whole=whole, hidden=hidden: same(logits(model, whole, hidden), expected)):  # type: ignore[misc]
                    return whole
        except Exception as error:
            reason = f"it does not read embeddings: {line(error)}"
    return replace(capabilities, refused=reason)


def _read_media(model: Any, capabilities: Capabilities, ids: Tensor) -> None:
    """Read embeddings that are no token's, as adapted media are; what it raises says why that cannot be."""
    embeddings = embed(model, capabilities, ids).clone()
    embeddings[:, 2:4] = embeddings[:, 2:4].roll(1, dims=1) + embeddings[:, 4:6]
    if not torch.isfinite(hidden_states(model, capabilities, embeddings, places(ids), ids=ids)).all():
        raise ValueError("embeddings that are no token's have no hidden states")


def _has_per_layer_inputs(decoder: Any) -> bool:
    return bool(getattr(decoder.config, "hidden_size_per_layer_input", 0)) and hasattr(decoder, "get_per_layer_inputs")


def _candidates(model: Any, capabilities: Capabilities) -> Iterator[Capabilities]:
    """Ways of reading embeddings, the usual one first."""
    yield capabilities
    padding = getattr(model.config.get_text_config(decoder=True), "pad_token_id", None)
    if capabilities.positions:
        if isinstance(padding, int):
            yield replace(capabilities, first_position=padding + 1)
        yield replace(capabilities, positions=False)
    scale = _embedding_scale(model)
    if scale not in (None, 1.0):
        yield replace(capabilities, embedding_scale=scale)


def _embedding_scale(model: Any) -> float | None:
    """What the first layer reads of ids over what it reads of their embeddings, where that is one number."""
    try:
        ids, seen = tokens(model), []
        handle = decoder_layers(model)[0].register_forward_pre_hook(
            lambda _module, args, kwargs: seen.append(hidden_argument(args, kwargs)), with_kwargs=True
        )
        try:
            model(input_ids=ids, use_cache=False)
            model(inputs_embeds=model.get_input_embeddings()(ids), use_cache=False)
        finally:
            handle.remove()
        ratio = float(seen[0].norm() / seen[1].norm())
        return ratio if same(seen[1] * ratio, seen[0]) else None
    except Exception:
        return None


def hidden_argument(args: Any, kwargs: Any) -> Any:
    """The hidden states among the arguments of a layer."""
    return args[0] if args else kwargs.get("hidden_states")


def parameters_of(decoder: Any) -> set[str]:
    """The names of what a decoder takes."""
    return set(inspect.signature(decoder.forward).parameters)


def line(error: Exception) -> str:
    """What an exception says, in one line."""
    return (str(error).strip().splitlines() or [type(error).__name__])[0][:200]
