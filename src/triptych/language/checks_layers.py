"""The probe's look at decoder layers: what can be put in front of them, and into their attention."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from torch import Tensor

from triptych.kernels import fast
from triptych.language.attention import KeysAndValues, attentions
from triptych.language.capabilities import Capabilities
from triptych.language.checks import hidden_argument, line, read, same, tokens
from triptych.language.layers import decoder_layers, heads_of, hidden_size

Call = tuple[Tensor, Tensor, Tensor]
"""Queries, keys and values of an attention, `[R, H, L, d]`."""

Share = Callable[[Tensor, Tensor, Tensor, float], Tensor | None]
"""What is bound to an attention module; see `fast.bind`."""


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
    """Whether something can be added to the attention of layers, by which module. Changes the model's attention."""
    if capabilities.prompts_refused:
        return capabilities
    name = type(model).__name__
    if hidden_size(model) != model.get_input_embeddings().weight.shape[1]:
        return replace(capabilities, prompts_refused=f"the embeddings of {name} have another width than its layers")
    if not fast.extensible(model):
        return replace(capabilities, prompts_refused=f"{name} {NONE}")
    ids = tokens(model, rows=2)
    try:
        where = _attention_name(model, capabilities, ids)
        reason = f"{name} {NONE}" if where is None else _prompts_refused(model, capabilities, where, ids)
    except Exception as error:
        return replace(capabilities, prompts_refused=f"the attention of {name} cannot be extended ({line(error)})")
    return replace(capabilities, prompts_refused=reason, attention=where or "")


NONE = "has no attention that can be extended (one module per layer that calls transformers' attention function)"


def _attention_name(model: Any, capabilities: Capabilities, ids: Tensor) -> str | None:
    """The name, within a layer, of the module that calls the attention function; None where no name goes for all layers.

    A layer of a hybrid may have no such module.
    """
    calls: list[tuple[int, str]] = []

    def recorder(number: int, name: str) -> Share:
        return lambda *_: calls.append((number, name))

    layers = decoder_layers(model)
    for number, layer in enumerate(layers):
        for name, module in layer.named_modules():
            if name:
                fast.bind(module, recorder(number, name))
    read(model, capabilities, ids)
    for layer in layers:
        for module in layer.modules():
            fast.bind(module, None)
    names = {name for _, name in calls}
    if len(names) != 1:
        return None
    name = names.pop()
    having = [number for number, module in enumerate(attentions(model, name)) if module is not None]
    return name if [number for number, _ in calls] == having else None


def _prompts_refused(model: Any, capabilities: Capabilities, where: str, ids: Tensor) -> str:
    name = type(model).__name__
    modules = [module for module in attentions(model, where) if module is not None]
    makers = [KeysAndValues(module) for module in modules]
    queries: list[list[Call]] = [[] for _ in modules]
    states: list[list[Tensor]] = [[] for _ in modules]
    value = [0.0]

    def share(number: int) -> Share:
        def added(query: Tensor, key: Tensor, values: Tensor, scale: float) -> Tensor:  # noqa: ARG001
            queries[number].append((query, key, values))
            return query.new_full((*query.transpose(1, 2).shape[:3], values.shape[-1]), value[0])

        return added

    before = read(model, capabilities, ids)
    for number, module in enumerate(modules):
        fast.bind(module, share(number))
        module.register_forward_pre_hook(
            lambda _module, args, kwargs, number=number: states[number].append(hidden_argument(args, kwargs)),
            with_kwargs=True,
        )
    silent = read(model, capabilities, ids)
    value[0] = 1.0
    loud = read(model, capabilities, ids)
    if {calls[0][0].shape[1] for calls in queries} != {heads_of(model)}:
        return f"the layers of {name} have different numbers of heads"
    for make, calls, hidden in zip(makers, queries, states, strict=True):
        try:
            made = make(hidden[0])
        except Exception:
            return f"{name} does not make its keys and values of hidden states alone"
        if reason := _differs(calls[0], made):
            return f"in {name} {reason}"
    if not same(silent, before) or same(loud, before):
        return f"what is added to the attention of {name} does not come out of it"
    return ""


def _differs(call: Call, made: tuple[Tensor, Tensor]) -> str:
    """What is wrong with keys and values that were made without a position, beside those of a call.

    The call's first token has position 0, where rotary positions turn nothing; they may scale (YaRN).
    """
    (query, key, values), (made_key, made_values) = call, made
    if query.shape[3] != key.shape[3] or query.shape[1] % key.shape[1] or key.shape[1] != values.shape[1]:
        return "keys and values have other shapes than the queries"
    if not same(made_values, values):
        return "the values depend on the position"
    first, made_first = key[:, :, 0], made_key[:, :, 0]
    ratio = float((first * made_first).sum() / made_first.square().sum())
    return "" if same(made_first * ratio, first) else "the keys depend on more than the token and its position"
