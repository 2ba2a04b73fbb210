"""Random weights."""

from __future__ import annotations

import torch
from torch import nn


@torch.no_grad()
def randomise(module: nn.Module, seed: int) -> None:
    """Every parameter drawn anew: matrices at the scale of their inputs, gains around one, all else around zero."""
    generator = torch.Generator().manual_seed(seed)
    for name, parameter in module.named_parameters():
        drawn = torch.randn(parameter.shape, generator=generator)
        wide = parameter.ndim > 1 and parameter.shape[-1] > 1 and parameter.shape[0] > 1
        parameter.copy_(drawn * (parameter[0].numel() ** -0.5 if wide else 0.3))
        if "norm" in name and name.endswith("weight"):
            parameter.add_(1)


@torch.no_grad()
def draw_normal(module: nn.Module, seed: int) -> None:
    """Every parameter drawn from a normal distribution, gates and norms too: what is zero or one would hide a mistake."""
    generator = torch.Generator().manual_seed(seed)
    for parameter in module.parameters():
        parameter.copy_(0.4 * torch.randn(parameter.shape, generator=generator))
