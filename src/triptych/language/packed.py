"""Linear layers that nobody trains, with their weights in the order that oneDNN computes in.

PyTorch's matrix product on the CPU brings a bfloat16 weight into that order on every call. A weight that does not
change can stay in it: a copy, made when it is first used and made again if the weight was changed after all.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional


class PackedLinear(nn.Linear):
    """A linear layer with the same parameters and values; packed while its weight is frozen, or nothing is differentiated."""

    _packed: tuple[tuple[int, int], Tensor] | None = None

    def forward(self, x: Tensor) -> Tensor:
        """`[..., D_out]` of `[..., D_in]`."""
        weight = self.weight
        differentiated = torch.is_grad_enabled() and (x.requires_grad or weight.requires_grad)
        if differentiated or weight.device.type != "cpu" or weight.dtype != torch.bfloat16 or not AVAILABLE:
            return functional.linear(x, weight, self.bias)
        state = (weight.data_ptr(), weight._version)
        if self._packed is None or self._packed[0] != state:
            self._packed = (state, torch.ops.mkldnn._reorder_linear_weight(weight.detach()))
        out: Tensor = torch.ops.mkldnn._linear_pointwise(x, self._packed[1], self.bias, "none", [], "")
        return out

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_packed": None}
