"""Running a vision model whose weights are on the meta device, where no number is stored."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from weakref import WeakSet

import torch
from torch import Tensor, nn
from torch.func import functional_call
from torch.nn.attention import SDPBackend, sdpa_kernel

_READS_VALUES: WeakSet[nn.Module] = WeakSet()
"""Models that did not run on the meta device."""


def run(model: nn.Module, arguments: Callable[[Tensor], dict[str, Any]], pictures: Tensor) -> Any:
    """What a model on the meta device puts out.

    Models that read values (the rows and columns of patches in a row) cannot run there. They run on the CPU, every weight
    one zero that is repeated without taking memory: shapes, products and what autograd keeps are those of the real one.

    Args:
        model: The model.
        arguments: Pictures to the arguments of its forward.
        pictures: `[N, 3, S, S]` on the meta device.

    Raises:
        Exception: Whatever the model raises at such pictures on the CPU.
    """
    if model not in _READS_VALUES:
        try:
            return model(**arguments(pictures))
        except (NotImplementedError, RuntimeError):  # how PyTorch says that there is no value, and that devices differ
            # Remembered: what runs before the failure would be counted with what runs after it.
            _READS_VALUES.add(model)
    learns = torch.is_grad_enabled()
    weights: dict[str, Tensor] = {}
    # Models are built under `torch.device("meta")`; what is made from here on has values.
    with torch.device("cpu"), sdpa_kernel(SDPBackend.MATH):  # PyTorch counts the products of no fused kernel of the CPU
        for name, tensor in [*model.named_parameters(), *model.named_buffers()]:
            # Without gradients precision changes no shape, and float32 is the one that every CPU is fast in.
            kind = tensor.dtype if learns or not tensor.is_floating_point() else torch.float32
            zeros = torch.zeros((), dtype=kind).expand(tensor.shape)
            weights[name] = zeros.requires_grad_(tensor.requires_grad and learns)
        real = torch.zeros(pictures.shape, dtype=pictures.dtype if learns else torch.float32)
        return functional_call(model, weights, (), arguments(real))
