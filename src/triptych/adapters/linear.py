"""The linear adapter (LLaVA, MiniGPT-4): one matrix."""

from __future__ import annotations

from torch import nn

from triptych.adapters.config import LinearConfig
from triptych.adapters.grid import GridAdapter


class Linear(GridAdapter):
    """One linear layer with a bias, per cell."""

    def __init__(
        self, config: LinearConfig, encoder_dim: int, grid: tuple[int, int], language_dim: int, embedding_std: float
    ) -> None:
        super().__init__(config, encoder_dim, grid, language_dim, embedding_std)
        self._start(nn.Linear(self.input_dim, language_dim))
