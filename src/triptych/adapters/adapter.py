"""The contract of adapters: from features `[N, T, D_enc]` to the language model's space `[N, T', D]`."""

from __future__ import annotations

import torch
from torch import Tensor, nn


class Adapter(nn.Module):
    """An adapter. A subclass calls this constructor and writes `output_tokens` and `forward`.

    Args:
        encoder_dim: Channels of the features, D_enc.
        grid: Rows and columns of the features of one picture.
        language_dim: Width of the language model, D.
        embedding_std: Standard deviation of the language model's token embeddings.
    """

    def __init__(self, encoder_dim: int, grid: tuple[int, int], language_dim: int, embedding_std: float) -> None:
        super().__init__()
        self.encoder_dim = encoder_dim
        self.grid = grid
        self.language_dim = language_dim
        self.embedding_std = embedding_std

    @property
    def dtype(self) -> torch.dtype:
        """The precision of the parameters, which features are cast to and outputs have."""
        return next(self.parameters()).dtype

    def output_tokens(self, n: int) -> int:
        """How many positions T' come out when T = `n` come in: the only truth about it.

        Raises:
            ValueError: The adapter cannot take `n` positions.
        """
        raise NotImplementedError

    def forward(self, features: Tensor) -> Tensor:
        """`[N, output_tokens(T), language_dim]` from features `[N, T, encoder_dim]` of any float type."""
        raise NotImplementedError

    def content(self, features: Tensor) -> Tensor:
        """The positions of the output that depend on the medium, `[N, T'', D]`: all, unless an adapter adds others."""
        adapted: Tensor = self(features)
        return adapted
