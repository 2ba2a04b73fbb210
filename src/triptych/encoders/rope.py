"""Rotary positions of a grid of patches (EVA-02, Fang et al., 2023): the first half of each head turns by row, the
second by column.

Neighbouring channels (0, 1), (2, 3), … are a pair; pair i of a half of C channels turns by `place · 10000^(-2i / C)`.
Places are scaled to the grid of pretraining (`pt_hw_seq_len` there), so that other resolutions turn by the same range.
"""

from __future__ import annotations

from typing import TypeAlias

import torch
from torch import Tensor

THETA = 10_000.0

Rotation: TypeAlias = tuple[Tensor, Tensor]
"""Cosines and sines, float32, each `[T, D / 2]`, or `[N, 1, T, D / 2]` where samples keep different patches."""


def rotation(grid: tuple[int, int], width: int, reference: int, prefix: int, device: torch.device) -> Rotation:
    """How every position turns, row by row; the `prefix` positions in front do not.

    Args:
        grid: Rows and columns.
        width: Channels of a head, D; a multiple of 4.
        reference: Side of the grid that places are scaled to.
        prefix: Number of class tokens.
        device: Of the result.
    """
    half = width // 2
    speeds = THETA ** (-torch.arange(0, half, 2, dtype=torch.float32, device=device) / half)
    rows, columns = (torch.arange(n, dtype=torch.float32, device=device) / n * reference for n in grid)
    by_row = (rows[:, None] * speeds)[:, None].expand(-1, len(columns), -1)
    by_column = (columns[:, None] * speeds)[None].expand(len(rows), -1, -1)
    angles = torch.cat([by_row, by_column], dim=-1).flatten(0, 1)
    angles = torch.cat([angles.new_zeros(prefix, half), angles])
    return angles.cos(), angles.sin()


def rotate(x: Tensor, rotation: Rotation) -> Tensor:
    """Queries or keys `[N, H, T, D]`, turned, in their own precision."""
    cosines, sines = rotation
    even, odd = x[..., 0::2], x[..., 1::2]
    turned = torch.stack([even * cosines - odd * sines, odd * cosines + even * sines], dim=-1)
    return turned.flatten(-2).to(x.dtype)


def select(rotation: Rotation, kept: Tensor) -> Rotation:
    """The rotation of the positions `kept` `[N, T']` of each sample."""
    cosines, sines = rotation
    return cosines[kept][:, None], sines[kept][:, None]
