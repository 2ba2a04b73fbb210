"""From an encoder's features to the picture that decoders look at.

features [N, T, D] ─► levels, each normalised and projected ─► brought to one grid, added ─► 3 × 3 convolution ─► [N, C, h, w]
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional

from triptych.encoders.encoder import Level


class Neck(nn.Module):
    """A small feature pyramid (Lin et al., 2017) that ends like SAM's encoder, in normalised channels.

    Args:
        levels: What the features hold, finest first (`Encoder.levels`).
        grid: Rows and columns of the features.
        width: Channels that come out, C.
        fineness: How much finer than `grid` the picture is, on each axis.
    """

    def __init__(self, levels: Sequence[Level], grid: tuple[int, int], width: int, fineness: int = 1) -> None:
        super().__init__()
        self.levels, self.fineness = tuple(levels), fineness
        self.features = grid
        self.grid = (grid[0] * fineness, grid[1] * fineness)
        folds = [max(1, level.fineness // fineness) for level in self.levels]
        self.norms = nn.ModuleList(nn.LayerNorm(level.channels) for level in self.levels)
        self.laterals = nn.ModuleList(
            nn.Linear(level.channels * fold**2, width) for level, fold in zip(self.levels, folds, strict=True)
        )
        self.norm = nn.LayerNorm(width, eps=1e-6)
        self.mix = nn.Conv2d(width, width, 3, padding=1, bias=False)
        self.last_norm = nn.LayerNorm(width, eps=1e-6)

    def forward(self, features: Tensor) -> Tensor:
        """`[N, C, h, w]` of features `[N, T, D]`."""
        x = torch.zeros((), device=features.device)
        parts = torch.split(features.to(self.mix.weight.dtype), [level.size for level in self.levels], dim=-1)
        for part, level, norm, lateral in zip(parts, self.levels, self.norms, self.laterals, strict=True):
            fine = norm(unfold(part, self.features, level.fineness))
            if level.fineness > self.fineness:
                fine = fold(fine, level.fineness // self.fineness)
            x = x + _resized(lateral(fine), self.grid)
        x = self.mix(self.norm(x).permute(0, 3, 1, 2))
        mixed: Tensor = self.last_norm(x.permute(0, 2, 3, 1))
        return mixed.permute(0, 3, 1, 2)


def unfold(features: Tensor, grid: tuple[int, int], fineness: int) -> Tensor:
    """Cells `[N, T, f · f · C]` that hold f × f finer ones each, row by row, as a picture `[N, f · rows, f · columns, C]`."""
    rows, columns = grid
    cells = features.reshape(len(features), rows, columns, fineness, fineness, -1)
    return cells.permute(0, 1, 3, 2, 4, 5).flatten(3, 4).flatten(1, 2)


def fold(picture: Tensor, factor: int) -> Tensor:
    """The way back: `[N, f · rows, f · columns, C]` as `[N, rows, columns, f · f · C]`."""
    count, height, width, channels = picture.shape
    cells = picture.reshape(count, height // factor, factor, width // factor, factor, channels)
    return cells.permute(0, 1, 3, 2, 4, 5).flatten(3)


def _resized(x: Tensor, grid: tuple[int, int]) -> Tensor:
    """`[N, rows, columns, C]` on a finer grid."""
    if x.shape[1:3] == grid:
        return x
    fine = functional.interpolate(x.permute(0, 3, 1, 2), size=grid, mode="bilinear", align_corners=False)
    return fine.permute(0, 2, 3, 1)
