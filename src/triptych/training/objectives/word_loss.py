"""Cross-entropy over a large vocabulary, with the gradient of its logits computed on the way.

Logits exist only some rows at a time, in float32; what is kept for the gradient is one matrix in the precision of the states,
where PyTorch's own chain of linear layer, cast, logarithm and loss keeps several in float32.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

ROWS = 64
"""Rows whose logits exist at one time: at 49,000 words 13 MB, which processors keep near."""


def word_loss(states: Tensor, table: Tensor, bias: Tensor, targets: Tensor, smoothing: float = 0.0) -> Tensor:
    """Summed cross-entropy, in float32, of `states · tableᵀ + bias` against targets.

    Args:
        states: `[N, W]`.
        table: `[V, W]`.
        bias: `[V]`.
        targets: `[N]` ids.
        smoothing: Share of the target's weight that is spread over all words.
    """
    differentiated = torch.is_grad_enabled() and (states.requires_grad or table.requires_grad or bias.requires_grad)
    loss: Tensor = _WordLoss.apply(states, table, bias, targets, smoothing, differentiated)  # type: ignore[no-untyped-call]
    return loss


class _WordLoss(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any, states: Tensor, table: Tensor, bias: Tensor, targets: Tensor, smoothing: float, differentiated: bool
    ) -> Tensor:
        full = torch.promote_types(states.dtype, torch.float32)
        loss = states.new_zeros((), dtype=full)
        gradient = states.new_empty(len(states), len(table)) if differentiated else None
        for start in range(0, len(states), ROWS):
            rows = slice(start, start + ROWS)
            logs = functional.linear(states[rows], table, bias).to(full).log_softmax(dim=-1)
            own = targets[rows, None]
            loss -= (1 - smoothing) * logs.gather(1, own).sum()
            if smoothing:
                loss -= smoothing * logs.mean(dim=-1).sum()
            if gradient is not None:
                share = logs.exp_()
                if smoothing:
                    share -= smoothing / len(table)
                share.scatter_add_(1, own, share.new_full(own.shape, smoothing - 1))
                gradient[rows] = share
        ctx.save_for_backward(states, table, *([] if gradient is None else [gradient]))
        return loss

    @staticmethod
    def backward(ctx: Any, outer: Tensor) -> tuple[Tensor | None, ...]:
        states, table, gradient = ctx.saved_tensors
        wanted = ctx.needs_input_grad
        return (
            (gradient @ table) * outer if wanted[0] else None,
            (gradient.T @ (states * outer)) if wanted[1] else None,
            gradient.sum(dim=0) * outer if wanted[2] else None,
            None,
            None,
            None,
        )
