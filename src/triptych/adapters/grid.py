"""What the adapters that keep the grid share: each (pooled) cell is projected on its own.

features [N, T, D_enc] ─► pool p × p ─► LayerNorm ─► projection ─► + position ─► × scale ─► [N, T', D]
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from triptych.adapters.config import GridOptions
from triptych.adapters.pooled import PooledAdapter

CALIBRATION_TOKENS = 512
"""Random positions that the projection's standard deviation is measured on: within about 1 % at 500 channels."""


class GridAdapter(PooledAdapter):
    """An adapter that projects every cell of the (pooled) grid on its own.

    A subclass makes its projection from `input_dim` to `language_dim` and hands it to `_start`. Arguments are those of
    `PooledAdapter`.
    """

    def __init__(
        self, options: GridOptions, encoder_dim: int, grid: tuple[int, int], language_dim: int, embedding_std: float
    ) -> None:
        super().__init__(options, encoder_dim, grid, language_dim, embedding_std, positions="output")
        self.projection: nn.Module

    def _start(self, projection: nn.Module) -> None:
        """Take the projection; measure the scale that makes its output start like token embeddings."""
        self.projection = projection
        self._start_at_scale(lambda: projection(torch.randn(CALIBRATION_TOKENS, self.input_dim)))

    def output_tokens(self, n: int) -> int:
        """`n` without pooling; else the cells of the pooled grid, edges rounded up, for each grid in `n`."""
        return self.cells(n)

    def forward(self, features: Tensor, texts: Sequence[str] | None = None) -> Tensor:  # noqa: ARG002
        """`[N, T', language_dim]` from features `[N, T, encoder_dim]`; T' is `output_tokens(T)`."""
        y: Tensor = self.projection(self._prepared(features))
        if self.positions is not None:
            y = y + self.positions.repeat(y.shape[1] // len(self.positions), 1)
        return self._scaled(y)
