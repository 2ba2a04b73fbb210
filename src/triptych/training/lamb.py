"""LAMB (You et al., 2020, "Large batch optimization for deep learning", algorithm 2)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor


class Lamb(torch.optim.Optimizer):
    """Adam's direction for each parameter, as long as the parameter itself.

        m ← β₁ m + (1 - β₁) g        v ← β₂ v + (1 - β₂) g²
        u = m̂ / (√v̂ + ε) + λ x      x ← x - η · (‖x‖ / ‖u‖) · u

    m̂ and v̂ are corrected for their start at zero. Where `adapts` is false in a group, or ‖x‖ or ‖u‖ is zero, the factor
    ‖x‖ / ‖u‖ is 1: biases and gains, which start at zero or one, could not move otherwise.

    Args:
        groups: With `params`, `lr`, `weight_decay` λ, and `adapts` (true by default).
        betas: β₁, β₂.
        eps: ε.
    """

    def __init__(
        self, groups: list[dict[str, Any]], betas: tuple[float, float] = (0.9, 0.999), eps: float = 1e-6
    ) -> None:
        super().__init__(groups, {"lr": 1e-3, "weight_decay": 0.0, "adapts": True, "betas": betas, "eps": eps})

    @torch.no_grad()
    def step(self, closure: Callable[[], float] | None = None) -> None:  # type: ignore[override]
        """One update of all parameters that have gradients."""
        assert closure is None, "LAMB looks at the loss once"
        for group in self.param_groups:
            for parameter in group["params"]:
                if parameter.grad is not None:
                    self._update(parameter, parameter.grad, group)

    def _update(self, x: Tensor, gradient: Tensor, group: dict[str, Any]) -> None:
        state = self.state[x]
        if not state:
            state["step"] = torch.zeros(())
            state["exp_avg"], state["exp_avg_sq"] = torch.zeros_like(x), torch.zeros_like(x)
        state["step"] += 1
        count, (first, second) = float(state["step"]), group["betas"]
        m, v = state["exp_avg"], state["exp_avg_sq"]
        m.lerp_(gradient, 1 - first)
        v.mul_(second).addcmul_(gradient, gradient, value=1 - second)
        update = (m / (1 - first**count)) / ((v / (1 - second**count)).sqrt() + group["eps"])
        if group["weight_decay"]:
            update.add_(x, alpha=group["weight_decay"])
        ratio = torch.ones((), device=x.device)
        if group["adapts"]:
            own, step = torch.linalg.vector_norm(x), torch.linalg.vector_norm(update)
            ratio = torch.where((own > 0) & (step > 0), own / step, ratio)
        x.sub_(group["lr"] * ratio * update)
