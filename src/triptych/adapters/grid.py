"""What the adapters that keep the grid share: pooling, normalisation, positions and scale around a projection.

features [N, T, D_enc] ─► pool p × p ─► LayerNorm ─► projection ─► + position ─► × scale ─► [N, T', D]
"""

from __future__ import annotations

from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from triptych.adapters.adapter import Adapter
from triptych.adapters.config import GridOptions

CALIBRATION_TOKENS = 512
"""Random positions that the projection's standard deviation is measured on: within about 1 % at 500 channels."""


class GridAdapter(Adapter):
    """An adapter that projects every cell of the (pooled) grid on its own.

    A subclass makes its projection from `input_dim` to `language_dim` and hands it to `_start`.

    Args:
        options: Pooling, normalisation, positions, scale.
        encoder_dim: Channels of the features.
        grid: Rows and columns; a medium may be several grids in a row (frames), each treated alike.
        language_dim: Width of the language model.
        embedding_std: Standard deviation of the language model's token embeddings.
    """

    def __init__(
        self, options: GridOptions, encoder_dim: int, grid: tuple[int, int], language_dim: int, embedding_std: float
    ) -> None:
        super().__init__(encoder_dim, grid, language_dim, embedding_std)
        self.pool = options.pool
        self.reduction = options.reduction
        self.pooled_grid = (-(-grid[0] // self.pool), -(-grid[1] // self.pool))
        shuffled = options.reduction == "pixel_shuffle"
        self.input_dim = encoder_dim * self.pool**2 if shuffled else encoder_dim
        self.norm = nn.LayerNorm(self.input_dim) if options.normalise else nn.Identity()
        cells = self.pooled_grid[0] * self.pooled_grid[1]
        self.positions = nn.Parameter(torch.zeros(cells, language_dim)) if options.positions else None
        self._scaled = options.output_scale == "embeddings"
        normalised = options.output_scale == "normalised"
        self.gain = nn.Parameter(torch.tensor(embedding_std)) if normalised else None
        self.projection: nn.Module
        self.scale: Tensor

    def _start(self, projection: nn.Module) -> None:
        """Take the projection; measure the scale that makes its output start like token embeddings.

        The scale is a constant beside weights of ordinary size, not folded into them: an optimiser step then
        changes the output in proportion to its size. It is measured on random input of unit variance, which is
        what the LayerNorm in front makes of any features; without `normalise` it holds for such features only.
        """
        self.projection = projection
        scale = 1.0
        if self._scaled and not next(projection.parameters()).is_meta:  # on the meta device nothing can be measured
            with torch.no_grad(), torch.random.fork_rng(devices=[]):
                torch.manual_seed(0)
                scale = self.embedding_std / projection(torch.randn(CALIBRATION_TOKENS, self.input_dim)).std().item()
        self.register_buffer("scale", torch.tensor(scale, dtype=torch.float32))

    def output_tokens(self, n: int) -> int:
        """`n` without pooling; else the cells of the pooled grid, edges rounded up, for each grid in `n`."""
        if self.pool == 1 and self.positions is None:
            return n
        cells = self.grid[0] * self.grid[1]
        if n <= 0 or n % cells:
            raise ValueError(
                f"an adapter with positions or pooling takes whole grids of {self.grid[0]} × {self.grid[1]} = {cells} "
                f"positions, got {n}; an encoder that keeps its class token needs `drop_cls: true`"
            )
        return n // cells * self.pooled_grid[0] * self.pooled_grid[1]

    def forward(self, features: Tensor) -> Tensor:
        """`[N, T', language_dim]` from features `[N, T, encoder_dim]`; T' is `output_tokens(T)`."""
        x = features.to(self.dtype)
        tokens = self.output_tokens(x.shape[1])
        if self.pool > 1:
            grids = x.reshape(-1, *self.grid, self.encoder_dim)
            x = pool_grid(grids, self.pool, self.reduction).reshape(len(x), tokens, self.input_dim)
        y: Tensor = self.projection(self.norm(x))
        if self.positions is not None:
            y = y + self.positions.repeat(tokens // len(self.positions), 1)
        if self.gain is not None:
            return F.rms_norm(y, (self.language_dim,)) * self.gain
        return y * self.scale.to(y.dtype)


def pool_grid(grids: Tensor, pool: int, reduction: Literal["none", "average", "pixel_shuffle"]) -> Tensor:
    """Squares of `pool` × `pool` cells become one.

    Args:
        grids: `[N, rows, columns, D]`. Where a side is no multiple of `pool`, its last cells are repeated.
        pool: Side of the squares.
        reduction: `average`, or `pixel_shuffle`: the channels of a square's cells side by side, row by row.

    Returns:
        `[N, ⌈rows / pool⌉, ⌈columns / pool⌉, D]`, or `D · pool²` channels after a pixel shuffle.
    """
    count, rows, columns, dim = grids.shape
    down, right = -rows % pool, -columns % pool
    if down or right:
        grids = F.pad(grids.permute(0, 3, 1, 2), (0, right, 0, down), mode="replicate").permute(0, 2, 3, 1)
    squares = grids.reshape(count, (rows + down) // pool, pool, (columns + right) // pool, pool, dim)
    if reduction == "average":
        return squares.mean(dim=(2, 4))
    return squares.permute(0, 1, 3, 2, 4, 5).flatten(3)
