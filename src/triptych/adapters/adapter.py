"""The contract of adapters: from features `[N, T, D_enc]` to the language model's space `[N, T', D]`."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Self

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

    @classmethod
    def from_config(
        cls,
        config: Any,
        encoder_dim: int,
        grid: tuple[int, int],
        language_dim: int,
        embedding_std: float,
        tokenise: Callable[[str], list[int]] | None = None,  # noqa: ARG003 - for adapters that read text
        vocabulary: int | None = None,  # noqa: ARG003 - likewise
        base: Path | None = None,  # noqa: ARG003 - for adapters with weights
    ) -> Self:
        """Build it with its weights; see `triptych.adapters.build.build`."""
        make: Any = cls  # a subclass takes its configuration first
        adapter: Self = make(config, encoder_dim, grid, language_dim, embedding_std)
        return adapter

    reads_text: bool = False
    """Whether `forward` makes use of the text around a medium; one that does not need not be given any."""

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

    def forward(self, features: Tensor, texts: Sequence[str] | None = None) -> Tensor:
        """`[N, output_tokens(T), language_dim]` from features `[N, T, encoder_dim]` of any float type.

        Args:
            features: Of N media of one length.
            texts: The text of the message that each medium stands in, for adapters that read it; others look away.
        """
        raise NotImplementedError

    def content(self, features: Tensor, texts: Sequence[str] | None = None) -> Tensor:
        """The positions of the output that depend on the medium, `[N, T'', D]`: all, unless an adapter adds others."""
        adapted: Tensor = self(features, texts) if self.reads_text else self(features)
        return adapted
