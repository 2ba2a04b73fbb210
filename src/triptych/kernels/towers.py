"""Attention and activation of vision towers on the CPU.

PyTorch's fused CPU kernel is made for long sequences: at the few hundred positions of a picture it takes more than
twice the time of two matrix products and a softmax, done for as many queries at once as the processor's cache holds.
"""

from __future__ import annotations

from typing import Any

from torch import Tensor, nn
from torch.nn import functional
from transformers import AttentionInterface
from transformers.activations import QuickGELUActivation
from transformers.integrations.sdpa_attention import sdpa_attention_forward

from triptych.kernels import packed
from triptych.kernels.products import by_products

NAME = "triptych_tower"
"""The implementation's name in a transformers configuration."""


def attention(
    module: nn.Module, query: Tensor, key: Tensor, value: Tensor, attention_mask: Tensor | None, **options: Any
) -> tuple[Tensor, None]:
    """Attention of transformers' interface, `[N, H, T, D]` in, `[N, T, H, D]` out; every position sees every other."""
    differentiated = query.requires_grad or key.requires_grad or value.requires_grad
    if query.device.type != "cpu" or differentiated or attention_mask is not None or options.get("dropout"):
        fused: Tensor = sdpa_attention_forward(module, query, key, value, attention_mask, **options)[0]
        return fused, None
    return by_products(query, key, value, options.get("scaling") or query.shape[-1] ** -0.5), None


class InPlaceQuickGELU(QuickGELUActivation):  # type: ignore[misc]
    """x · sigmoid(1.702 x) as silu(1.702 x) / 1.702, in the memory of its input, which nothing else reads in a frozen tower."""

    def forward(self, input: Tensor) -> Tensor:
        """`[..., D]` to `[..., D]`."""
        if input.device.type != "cpu" or input.requires_grad:
            plain: Tensor = super().forward(input)
            return plain
        return functional.silu(input.mul_(1.702), inplace=True).mul_(1 / 1.702)


def accelerate(model: Any) -> None:
    """Let a tower of transformers attend this way, its linear layers packed."""
    AttentionInterface.register(NAME, attention)
    model.set_attn_implementation(NAME)
    packed.pack(model)
    for module in model.modules():
        if type(module) is QuickGELUActivation:
            module.__class__ = InPlaceQuickGELU
