"""Linear layers that keep a copy of their weights in the order in which oneDNN computes.

PyTorch's bfloat16 product on the CPU brings a weight into that order on every call, which for the few tokens of a
decoding step takes longer than the product. A weight that does not change can stay in it.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

LARGEST = 2 * 2**30
"""Bytes of a model's weights up to which they are kept twice."""


class PackedLinear(nn.Linear):
    """A linear layer with the same parameters and values; while answering (`torch.inference_mode`) it uses the copy.

    The copy is made when it is first used, and again when the weight was changed in between.
    """

    _packed: tuple[tuple[int, int], Tensor] | None = None

    def forward(self, input: Tensor) -> Tensor:
        """`[..., D_out]` of `[..., D_in]`."""
        weight = self.weight
        if not torch.is_inference_mode_enabled() or weight.device.type != "cpu" or weight.dtype != torch.bfloat16:
            return functional.linear(input, weight, self.bias)
        state = (weight.data_ptr(), weight._version)
        if self._packed is None or self._packed[0] != state:
            self._packed = (state, torch.ops.mkldnn._reorder_linear_weight(weight.detach()))
        out: Tensor = torch.ops.mkldnn._linear_pointwise(input, self._packed[1], self.bias, "none", [], "")
        return out

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_packed": None}


def available() -> bool:
    """Whether this build of PyTorch and this processor have what it takes."""
    names = ("_reorder_linear_weight", "_linear_pointwise", "_is_mkldnn_bf16_supported")
    return (
        torch.backends.mkldnn.is_available()  # type: ignore[no-untyped-call]
        and all(hasattr(torch.ops.mkldnn, name) for name in names)
        and bool(torch.ops.mkldnn._is_mkldnn_bf16_supported())
    )


def pack(model: nn.Module) -> None:
    """Give the plain linear layers of a model their copies, where that helps and memory allows."""
    if not available() or sum(p.numel() * p.element_size() for p in model.parameters()) > LARGEST:
        return
    for module in model.modules():
        if type(module) is nn.Linear:
            module.__class__ = PackedLinear
