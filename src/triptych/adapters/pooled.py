"""What all adapters here share: pooling and normalisation in front, and the scale of the output behind.

features [N, T, D_enc] ─► pool p × p ─► LayerNorm ─► (a subclass) ─► × scale ─► [N, T', D]
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from triptych.adapters.adapter import Adapter
from triptych.adapters.config import AdapterOptions


class PooledAdapter(Adapter):
    """An adapter with pooling and normalisation in front and an output scale behind; subclasses say what is between.

    A subclass that has its parameters calls `_start_at_scale`; its `forward` uses `_prepared` and `_scaled`.

    Args:
        options: Pooling, normalisation, positions, scale.
        encoder_dim: Channels of the features.
        grid: Rows and columns; a medium may be several grids in a row (frames), each treated alike.
        language_dim: Width of the language model.
        embedding_std: Standard deviation of the language model's token embeddings.
        positions: Whether the learned positions are added to what is `_prepared` or (by the subclass) to the output.
    """

    def __init__(
        self,
        options: AdapterOptions,
        encoder_dim: int,
        grid: tuple[int, int],
        language_dim: int,
        embedding_std: float,
        positions: Literal["input", "output"],
    ) -> None:
        super().__init__(encoder_dim, grid, language_dim, embedding_std)
        self.pool = options.pool
        self.reduction = options.reduction
        self.pooled_grid = (-(-grid[0] // self.pool), -(-grid[1] // self.pool))
        shuffled = options.reduction == "pixel_shuffle"
        self.input_dim = encoder_dim * self.pool**2 if shuffled else encoder_dim
        self.norm = nn.LayerNorm(self.input_dim) if options.normalise else nn.Identity()
        cells = self.pooled_grid[0] * self.pooled_grid[1]
        self._positions_at = positions
        width = self.input_dim if positions == "input" else language_dim
        self.positions = nn.Parameter(torch.zeros(cells, width)) if options.positions else None
        self._measures = options.output_scale == "embeddings"
        normalised = options.output_scale == "normalised"
        self.gain = nn.Parameter(torch.tensor(embedding_std)) if normalised else None
        self.scale: Tensor

    @property
    def needs_grid(self) -> bool:
        """Whether only whole grids can be taken: there are cells to pool or to tell apart."""
        return self.pool > 1 or self.positions is not None

    def cells(self, n: int) -> int:
        """How many of `n` positions are left behind the pooling: edges rounded up, for each grid in `n`.

        Raises:
            ValueError: `n` positions are no whole grids, and grids are needed.
        """
        if not self.needs_grid:
            return n
        cells = self.grid[0] * self.grid[1]
        if n <= 0 or n % cells:
            raise ValueError(
                f"an adapter with positions or pooling takes whole grids of {self.grid[0]} × {self.grid[1]} = {cells} "
                f"positions, got {n}; an encoder that keeps its class token needs `drop_cls: true`, one "
                "whose media have different lengths an adapter with `positions: false`"
            )
        return n // cells * self.pooled_grid[0] * self.pooled_grid[1]

    def _prepared(self, features: Tensor) -> Tensor:
        """`[N, cells(T), input_dim]`: features pooled, normalised, and told where they are where that is wanted."""
        x = features.to(self.dtype)
        cells = self.cells(x.shape[1])
        if self.pool > 1:
            grids = x.reshape(-1, *self.grid, self.encoder_dim)
            x = pool_grid(grids, self.pool, self.reduction).reshape(len(x), cells, self.input_dim)
        y: Tensor = self.norm(x)
        if self.positions is not None and self._positions_at == "input":
            y = y + self.positions.repeat(cells // len(self.positions), 1)
        return y

    def _start_at_scale(self, output: Callable[[], Tensor]) -> None:
        """Measure the scale that makes the output start like token embeddings.

        The scale is a constant beside weights of ordinary size, not folded into them: an optimiser step then
        changes the output in proportion to its size.

        Args:
            output: Makes unscaled output from random input, which is what the LayerNorm in front makes of features;
                without `normalise` the scale holds for features of unit variance only.
        """
        scale = 1.0
        if self._measures and not any(p.is_meta for p in self.parameters()):  # nothing can be measured there
            self.eval()
            with torch.no_grad(), torch.random.fork_rng(devices=[]):
                torch.manual_seed(0)
                scale = self.embedding_std / output().std().item()
            self.train()
        self.register_buffer("scale", torch.tensor(scale, dtype=torch.float32))

    def _scaled(self, y: Tensor) -> Tensor:
        """Output of ordinary size `[N, T', D]` at the scale that the recipe asks for."""
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
