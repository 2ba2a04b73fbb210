"""The attention of decoder layers: the module that computes it, and the keys and values that it makes of what has no position."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn
from transformers import Cache

from triptych.kernels import fast
from triptych.language.layers import decoder_layers


def attentions(model: Any, name: str) -> list[Any | None]:
    """Per layer its attention module; None where a layer of a hybrid has none.

    Args:
        model: A `transformers` causal language model.
        name: Of the module within a layer, as the probe found it.
    """
    return [_submodule(layer, name) for layer in decoder_layers(model)]


class KeysAndValues:
    """Keys and values of tokens without a position, made by a layer's own attention.

    The attention module runs on the tokens until it has made them. So projections of any form (fused, through a narrow
    layer, with norms or multipliers) give what they give for text. Rotary positions are those of position 0, which turn
    nothing. The other arguments are those of the module's first call.

    Args:
        attention: A module that calls the attention function of `fast`, and takes hidden states first.
    """

    def __init__(self, attention: nn.Module) -> None:
        self.attention = attention
        self.signature = inspect.signature(type(attention).forward)
        self.arguments: dict[str, Any] | None = None
        attention.register_forward_pre_hook(self._remember, with_kwargs=True)

    def __call__(self, hidden_states: Tensor) -> tuple[Tensor, Tensor]:
        """Keys `[R, H', N, d]` and values `[R, H', N, d']` of `[R, N, D]`.

        Raises:
            RuntimeError: The module was not called yet, or does not call the attention function.
        """
        if self.arguments is None:
            raise RuntimeError(f"{type(self.attention).__name__} was not called yet")
        rows, count = hidden_states.shape[:2]
        device = hidden_states.device
        own = {name: _sized(value, rows, count, device) for name, value in self.arguments.items()}
        share = self.attention.__dict__.get(fast.SHARE)
        fast.bind(self.attention, _stop)
        try:
            self.attention.forward(hidden_states, **own)
        except _MadeError as made:
            return made.keys, made.values
        finally:
            fast.bind(self.attention, share)
        raise RuntimeError(f"{type(self.attention).__name__} does not call the attention function")

    def _remember(self, module: nn.Module, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> None:
        if self.arguments is None:
            bound = self.signature.bind(module, *args, **kwargs).arguments
            for parameter in self.signature.parameters.values():
                if parameter.kind is parameter.VAR_KEYWORD:
                    bound |= bound.pop(parameter.name, {})
            names = list(bound)[2:]  # the first two are the module and its hidden states
            with torch.inference_mode(False):  # what is kept may be used in training later
                self.arguments = {name: _template(bound[name]) for name in names}


class _MadeError(Exception):
    """Not an error: ends the module's forward pass where the keys and values are known."""

    def __init__(self, keys: Tensor, values: Tensor) -> None:
        super().__init__()
        self.keys, self.values = keys, values


def _stop(query: Tensor, key: Tensor, value: Tensor, scale: float) -> Tensor:  # noqa: ARG001 - the interface of what is bound
    raise _MadeError(key, value)


def _template(value: Any) -> Any:
    """An argument of a call, as it is for one token without a position; nothing of the call itself is kept."""
    match value:
        case Cache():
            return None
        case (Tensor() as cos, Tensor() as sin):
            return (torch.ones_like(_first(cos)), torch.zeros_like(_first(sin)))
        case Tensor() if value.is_complex() or value.dtype == torch.bool:  # angles; a mask that hides nothing
            return torch.ones_like(_first(value))
        case Tensor():  # a mask that is added to scores; ids of positions
            return torch.zeros_like(_first(value))
        case _:
            return value


def _first(value: Tensor) -> Tensor:
    """Of the first row and token, or pair of tokens."""
    return value[(slice(0, 1),) * (value.dim() - _channels(value))]


def _channels(value: Tensor) -> int:
    """How many dimensions stand behind rows and tokens: none in positions and in masks `[R, 1, L, L]`."""
    positions = value.dim() < 3 and not (value.is_floating_point() or value.is_complex())
    return 0 if positions or value.dim() == 4 else 1


def _sized(value: Any, rows: int, count: int, device: torch.device) -> Any:
    """The template of an argument for `count` tokens in each of `rows` rows."""
    if isinstance(value, tuple):
        return tuple(_sized(each, rows, count, device) for each in value)
    if not isinstance(value, Tensor):
        return value
    shape = (count, count) if value.dim() == 4 else (count, *value.shape[value.dim() - _channels(value) :])
    outer = value.dim() - len(shape)
    return value.to(device).expand((rows, 1)[:outer] + shape)


def _submodule(layer: nn.Module, name: str) -> Any | None:
    module: Any = layer
    for step in name.split("."):
        module = getattr(module, step, None)
    return module
