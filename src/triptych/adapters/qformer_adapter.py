"""The Q-Former as an adapter (BLIP-2's second stage): its queries, what they found, and a projection.

InstructBLIP (Dai et al., 2023) lets the queries read the instruction too, so that they look for what is asked.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import torch
from torch import Tensor, nn

from triptych.adapters.config import QFormerConfig
from triptych.adapters.qformer import QFormer
from triptych.adapters.resampler import Resampler
from triptych.errors import RecipeError
from triptych.formats.qformer import load_qformer


class QFormerAdapter(Resampler):
    """Learned queries, a querying transformer, and a linear layer to the language model's width.

    Args:
        config: Sizes and options.
        encoder_dim: Channels of the features.
        grid: Rows and columns of the features of one picture.
        language_dim: Width of the language model.
        embedding_std: Standard deviation of the language model's token embeddings.
        tokenise: Text → ids, for `instruction: true`.
        vocabulary: One more than the largest id.

    Raises:
        RecipeError: `instruction: true` without a tokenizer.
    """

    def __init__(
        self,
        config: QFormerConfig,
        encoder_dim: int,
        grid: tuple[int, int],
        language_dim: int,
        embedding_std: float,
        tokenise: Callable[[str], list[int]] | None = None,
        vocabulary: int | None = None,
    ) -> None:
        super().__init__(config, config.queries, encoder_dim, grid, language_dim, embedding_std)
        if config.instruction and (tokenise is None or vocabulary is None):
            raise RecipeError("kind 'qformer': `instruction: true` needs a language model with a tokenizer")
        self.reads_text = config.instruction
        self.text_tokens = config.text_tokens
        self.tokenise = tokenise
        # All zero, queries would be equal, and a loss that treats them alike (contrast, matching) would keep them so.
        self.queries = nn.Parameter(torch.randn(config.queries, config.width) * 0.02)
        self.qformer = QFormer.from_config(config, self.input_dim, vocabulary if config.instruction else None)
        self.projection = nn.Linear(config.width, language_dim)
        self._start()

    @classmethod
    def from_config(
        cls,
        config: QFormerConfig,
        encoder_dim: int,
        grid: tuple[int, int],
        language_dim: int,
        embedding_std: float,
        tokenise: Callable[[str], list[int]] | None = None,
        vocabulary: int | None = None,
        base: Path | None = None,
    ) -> QFormerAdapter:
        """Build it with its weights.

        Raises:
            WeightsError: They cannot be had, or do not fit.
        """
        adapter = cls(config, encoder_dim, grid, language_dim, embedding_std, tokenise, vocabulary)
        if config.weights is not None:
            load_qformer(adapter, config.weights, base)
            adapter._start()  # the scale of random weights is not theirs
        return adapter

    def resample(self, features: Tensor, texts: Sequence[str] | None = None) -> Tensor:
        """Unscaled output `[N, queries, language_dim]` from prepared features `[N, S, input_dim]`.

        Args:
            features: Of N media.
            texts: With `instruction: true`, one per medium; no texts, or an empty one, leave only the features.
        """
        ids, mask = self._ids(texts, features) if self.reads_text and texts is not None else (None, None)
        queries = self.queries.expand(len(features), -1, -1)
        found = self.qformer(queries, features, ids, text_mask=mask).queries
        projected: Tensor = self.projection(found)
        return projected

    def _ids(self, texts: Sequence[str], features: Tensor) -> tuple[Tensor | None, Tensor | None]:
        """The texts' ids `[N, L]`, filled up with zeros, and where they are; None where all are empty."""
        if len(texts) != len(features):
            raise ValueError(f"{len(features)} media with {len(texts)} texts")
        assert self.tokenise is not None
        rows = [self.tokenise(text)[: self.text_tokens] for text in texts]
        longest = max(map(len, rows), default=0)
        if not longest:
            return None, None
        ids = torch.tensor([row + [0] * (longest - len(row)) for row in rows], device=features.device)
        lengths = torch.tensor([len(row) for row in rows], device=features.device)
        return ids, torch.arange(longest, device=features.device) < lengths[:, None]
