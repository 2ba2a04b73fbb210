"""Components that a package could register; see `test_registry`."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from triptych.adapters.adapter import Adapter


class Halves(Adapter):
    """Every second position, projected."""

    def __init__(
        self, encoder_dim: int, grid: tuple[int, int], language_dim: int, embedding_std: float, gain: float = 1.0
    ) -> None:
        super().__init__(encoder_dim, grid, language_dim, embedding_std)
        self.gain = gain
        self.projection = nn.Linear(encoder_dim, language_dim)

    def output_tokens(self, n: int) -> int:
        return (n + 1) // 2

    def forward(self, features: Tensor, texts: Sequence[str] | None = None) -> Tensor:
        projected: Tensor = self.gain * self.projection(features[:, ::2].to(self.dtype))
        return projected


class Signs(torch.optim.SGD):
    """Plain descent."""
