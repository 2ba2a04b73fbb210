"""Models of transformers put together from a configuration and weights that are at hand, without initialising any."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from triptych.language import kosmos


def causal(config: Any, state: dict[str, Tensor], dtype: torch.dtype) -> Any:
    """The causal language model of a configuration with these weights; see `filled`."""

    def build() -> Any:
        if config.model_type == kosmos.MODEL_TYPE:  # not among those that transformers builds by itself
            from transformers.models.kosmos2.modeling_kosmos2 import Kosmos2TextForCausalLM

            return Kosmos2TextForCausalLM(config)
        from transformers import AutoModelForCausalLM

        return AutoModelForCausalLM.from_config(config)

    return filled(build, state, dtype)


def filled(build: Callable[[], Any], state: dict[str, Tensor], dtype: torch.dtype) -> Any:
    """A transformers model with these weights in a precision. Tied weights stay one tensor.

    Raises:
        RuntimeError: A weight is missing, or there are others.
    """
    with torch.device("meta"):
        model = build()
    cast: dict[int, Tensor] = {}
    ready = {name: cast.setdefault(tensor.data_ptr(), tensor.to(dtype).contiguous()) for name, tensor in state.items()}
    missing, unexpected = model.load_state_dict(ready, strict=False, assign=True)
    model.tie_weights()
    name = type(model).__name__
    places = {**dict(model.named_parameters(remove_duplicate=False)), **dict(model.named_buffers())}
    if lacking := [key for key in missing if places[key].is_meta]:
        raise RuntimeError(f"{name}: {len(lacking)} weights are missing, among them {', '.join(lacking[:5])}")
    if unexpected:
        raise RuntimeError(f"{name}: has no place for {len(unexpected)} weights, such as {', '.join(unexpected[:5])}")
    model.config.dtype = dtype
    return model.eval()
