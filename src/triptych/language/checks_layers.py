"""The probe's look at decoder layers: what can be put in front of them, and into their attention."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor

from triptych.language import fast
from triptych.language.capabilities import Capabilities
from triptych.language.checks import hidden_argument, line, read, same, tokens
from triptych.language.layers import attention_of, decoder_layers, head_dim_of, hidden_size, projections_of


def layers(model: Any, capabilities: Capabilities) -> Capabilities:
    """Whether something can be put in front of every layer: each reads hidden states `[R, L, hidden_size]`, once."""
    name = type(model).__name__
    try:
        found = decoder_layers(model)
    except Exception as error:
        return replace(capabilities, layers_refused=line(error), prompts_refused=line(error))
    seen: dict[int, list[Any]] = {number: [] for number in range(len(found))}
    handles = [
        layer.register_forward_pre_hook(
            lambda _module, args, kwargs, number=number: seen[number].append(hidden_argument(args, kwargs)),
            with_kwargs=True,
        )
        for number, layer in enumerate(found)
    ]
    try:
        ids = tokens(model, rows=2)
        read(model, capabilities, ids)
    finally:
        for handle in handles:
            handle.remove()
    times = {len(calls) for calls in seen.values()}
    shapes = {tuple(call.shape) if isinstance(call, Tensor) else () for calls in seen.values() for call in calls}
    reason = ""
    if times != {1}:
        reason = f"{name} does not run each of its layers once"
    elif len(shapes) > 1 or not all(len(shape) == 3 and shape[:2] == tuple(ids.shape) for shape in shapes):
        reason = f"the layers of {name} do not read one stream of hidden states"
    elif next(iter(shapes))[2] != hidden_size(model):
        reason = f"the layers of {name} read another width than its hidden_size"
    return replace(capabilities, layers_refused=reason)


def attention(model: Any, capabilities: Capabilities) -> Capabilities:
    """Whether something can be added to the attention of every layer. Changes the model's attention."""
    if capabilities.prompts_refused:
        return capabilities
    name = type(model).__name__
    modules = [attention_of(layer) for layer in decoder_layers(model)]
    if any(module is None for module in modules):
        reason = f"not every layer of {name} has attention with projections for keys and for values"
        return replace(capabilities, prompts_refused=reason)
    if hidden_size(model) != model.get_input_embeddings().weight.shape[1]:
        return replace(capabilities, prompts_refused=f"the embeddings of {name} have another width than its layers")
    if not fast.extensible(model):
        reason = f"{name} computes attention in a way of its own that cannot be extended"
        return replace(capabilities, prompts_refused=reason)
    try:
        return replace(capabilities, prompts_refused=_prompts_refused(model, capabilities, modules))
    except AttributeError:  # projections that are no linear layers
        return replace(capabilities, prompts_refused=f"keys and values of {name} are made in a way of its own")


def _prompts_refused(model: Any, capabilities: Capabilities, modules: list[Any]) -> str:
    name = type(model).__name__
    queries: dict[int, list[Tensor]] = {number: [] for number in range(len(modules))}
    value = [0.0]

    def share(number: int) -> Callable[[Tensor, float], Tensor]:
        def added(query: Tensor, scale: float) -> Tensor:  # noqa: ARG001 - the interface of what is bound
            queries[number].append(query)
            return torch.full_like(query.transpose(1, 2), value[0])

        return added

    ids = tokens(model, rows=2)
    before = read(model, capabilities, ids)
    for number, module in enumerate(modules):
        fast.bind(module, share(number))
    try:
        silent = read(model, capabilities, ids)
        value[0] = 1.0
        loud = read(model, capabilities, ids)
    except Exception:
        return f"what {name}'s attention returns has another shape than its queries"
    if any(len(calls) != 2 for calls in queries.values()):
        return f"{name} computes attention in a way of its own that cannot be extended"
    for number, module in enumerate(modules):
        heads, width = queries[number][0].shape[1], queries[number][0].shape[3]
        projections: Any = projections_of(module)
        keys, values = (projection.weight.shape[0] for projection in projections)
        if head_dim_of(module) != width or keys != values or keys % width or heads % (keys // width):
            return f"keys and values of {name} have other shapes than its queries"
    if {calls[0].shape[1] for calls in queries.values()} != {_heads(model)}:
        return f"the layers of {name} have different numbers of heads"
    if not same(silent, before) or same(loud, before):
        return f"what is added to the attention of {name} does not come out of it"
    return ""


def _heads(model: Any) -> int:
    return int(getattr(model.config.get_text_config(decoder=True), "num_attention_heads", 0))
