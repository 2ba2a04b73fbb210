"""Where the cells of a picture are, as vectors (Tancik et al., 2020: random Fourier features, as SAM has them)."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn


class FourierPositions(nn.Module):
    """Sines and cosines of random directions. What is drawn never learns, but belongs to the weights.

    Args:
        width: Channels; half are sines.
    """

    def __init__(self, width: int) -> None:
        super().__init__()
        self.directions = nn.Buffer(torch.randn(2, width // 2))

    def forward(self, points: Tensor) -> Tensor:
        """`[..., width]` of points `[..., 2]`, x and y from 0 to 1."""
        angles = 2 * math.pi * ((2 * points - 1).to(self.directions.dtype) @ self.directions)
        return torch.cat([angles.sin(), angles.cos()], dim=-1)

    def grid(self, rows: int, columns: int) -> Tensor:
        """`[rows * columns, width]` of the centres of a picture's cells, row by row."""
        placed: Tensor = self(cell_centres(rows, columns, self.directions.device))
        return placed


def cell_centres(rows: int, columns: int, device: torch.device | None = None) -> Tensor:
    """The centres `[rows * columns, 2]` of cells, x and y from 0 to 1, row by row."""
    y = (torch.arange(rows, device=device) + 0.5) / rows
    x = (torch.arange(columns, device=device) + 0.5) / columns
    return torch.stack([x.repeat(rows), y.repeat_interleave(columns)], dim=-1)
