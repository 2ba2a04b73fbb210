"""Linear layers that keep a copy of their weights in the order in which oneDNN computes.

PyTorch's bfloat16 product on the CPU brings a weight into that order on every call, which for the few tokens of a
decoding step takes longer than the product, and for a training step a good part of it. A weight that does not change
can stay in it: while answering, any; while training, a frozen one, in both directions.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

LARGEST = 2 * 2**30
"""Bytes of a model's weights up to which they are kept twice."""


class PackedLinear(nn.Linear):
    """A linear layer with the same parameters and values that uses copies of its weight where the weight rests.

    A copy is made when it is first used, and again when the weight was changed in between.
    """

    _packed: tuple[tuple[int, int], Tensor] | None = None
    _turned: tuple[tuple[int, int], Tensor] | None = None

    def forward(self, input: Tensor) -> Tensor:
        """`[..., D_out]` of `[..., D_in]`."""
        weight = self.weight
        learns = weight.requires_grad or (self.bias is not None and self.bias.requires_grad)
        rests = torch.is_inference_mode_enabled() or not learns
        if not rests or weight.device.type != "cpu" or weight.dtype != torch.bfloat16 or input.dtype != weight.dtype:
            return functional.linear(input, weight, self.bias)
        if not (torch.is_grad_enabled() and input.requires_grad):
            return _product(input, self._copy(), self.bias)
        out: Tensor = _Frozen.apply(input, self)  # type: ignore[no-untyped-call]
        return out

    def _copy(self) -> Tensor:
        state = (self.weight.data_ptr(), self.weight._version)
        if self._packed is None or self._packed[0] != state:
            self._packed = (state, torch.ops.mkldnn._reorder_linear_weight(self.weight.detach()))
        return self._packed[1]

    def _turned_copy(self) -> Tensor:
        """Of the transposed weight, for the gradient of the input."""
        state = (self.weight.data_ptr(), self.weight._version)
        if self._turned is None or self._turned[0] != state:
            turned = self.weight.detach().t().contiguous()
            self._turned = (state, torch.ops.mkldnn._reorder_linear_weight(turned))
        return self._turned[1]

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_packed": None, "_turned": None}


class _Frozen(torch.autograd.Function):
    """`x Wᵀ + b` where only `x` needs a gradient, `g W`."""

    @staticmethod
    def forward(ctx: Any, input: Tensor, layer: PackedLinear) -> Tensor:
        ctx.layer = layer
        return _product(input, layer._copy(), layer.bias)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None]:  # type: ignore[override]
        return _product(gradient.contiguous(), ctx.layer._turned_copy(), None), None


def _product(input: Tensor, packed: Tensor, bias: Tensor | None) -> Tensor:
    out: Tensor = torch.ops.mkldnn._linear_pointwise(input, packed, bias, "none", [], "")
    return out


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


def release(model: nn.Module) -> None:
    """Drop the copies of a model that will not compute for a while; they come back when it does."""
    for module in model.modules():
        if isinstance(module, PackedLinear):
            module._packed = module._turned = None
