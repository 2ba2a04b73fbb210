"""What the adapters share in which a fixed number of learned vectors ask the features.

features [N, T, D_enc] ─► pool p × p ─► LayerNorm ─► + position ─► learned vectors attend ─► × scale ─► [N, Q, D]
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from triptych.adapters.config import ResamplerOptions
from triptych.adapters.pooled import PooledAdapter

CALIBRATION_PICTURES = 4
"""Random pictures that the output's standard deviation is measured on."""


class Resampler(PooledAdapter):
    """An adapter that puts out as many positions for any medium.

    A subclass makes its modules, writes `resample`, and calls `_start` last.

    Args:
        options: Pooling, normalisation, positions, scale.
        count: Positions that come out.
        encoder_dim: Channels of the features.
        grid: Rows and columns of the features of one picture.
        language_dim: Width of the language model.
        embedding_std: Standard deviation of the language model's token embeddings.
    """

    def __init__(
        self,
        options: ResamplerOptions,
        count: int,
        encoder_dim: int,
        grid: tuple[int, int],
        language_dim: int,
        embedding_std: float,
    ) -> None:
        super().__init__(options, encoder_dim, grid, language_dim, embedding_std, positions="input")
        self.count = count

    def _start(self) -> None:
        """Measure the scale that makes the output start like token embeddings.

        On features of which one half of the variance is common to all positions of a picture, as it about is in real
        ones: attention averages the other half away.
        """

        def output() -> Tensor:
            common = torch.randn(CALIBRATION_PICTURES, 1, self.encoder_dim)
            own = torch.randn(CALIBRATION_PICTURES, self.grid[0] * self.grid[1], self.encoder_dim)
            return self.resample(self._prepared((common + own) / 2**0.5))

        self._start_at_scale(output)

    def output_tokens(self, n: int) -> int:
        """As many for every `n` that can be taken."""
        if self.cells(n) < 1:
            raise ValueError(f"an adapter needs features to look at, got {n} positions")
        return self.count

    def resample(self, features: Tensor, texts: Sequence[str] | None = None) -> Tensor:
        """Unscaled output `[N, count, language_dim]` from prepared features `[N, S, input_dim]`."""
        raise NotImplementedError

    def forward(self, features: Tensor, texts: Sequence[str] | None = None) -> Tensor:
        """`[N, count, language_dim]` from features `[N, T, encoder_dim]`."""
        self.output_tokens(features.shape[1])
        return self._scaled(self.resample(self._prepared(features), texts))
