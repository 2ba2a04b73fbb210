"""The XConnector of Kosmos-1 and Kosmos-2 (Huang et al., 2023; Peng et al., 2023): one layer of attention, no more.

features [N, S, D_enc] ─► linear [N, S, D] ─┐ keys, values
latents  [Q, D] ────────────────────────────┴─► attention ─► [N, Q, D]        (no feed-forward, no residual)
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from triptych.adapters.attention import attend, split
from triptych.adapters.config import ConnectorConfig
from triptych.adapters.limits import usual_heads
from triptych.adapters.resampler import Resampler


class Connector(Resampler):
    """A linear layer to the language model's width, and latents that attend what it gives and each other.

    Args:
        config: Sizes and options.
        encoder_dim: Channels of the features.
        grid: Rows and columns of the features of one picture.
        language_dim: Width of the language model.
        embedding_std: Standard deviation of the language model's token embeddings.
    """

    def __init__(
        self, config: ConnectorConfig, encoder_dim: int, grid: tuple[int, int], language_dim: int, embedding_std: float
    ) -> None:
        super().__init__(config, config.latents, encoder_dim, grid, language_dim, embedding_std)
        self.heads = config.heads or usual_heads(language_dim)
        self.projection = nn.Linear(self.input_dim, language_dim)
        self.latents = nn.Parameter(torch.randn(config.latents, language_dim))
        self.query = nn.Linear(language_dim, language_dim)
        self.key = nn.Linear(language_dim, language_dim)
        self.value = nn.Linear(language_dim, language_dim)
        self.output = nn.Linear(language_dim, language_dim)
        self._start()

    def resample(self, features: Tensor, texts: Sequence[str] | None = None) -> Tensor:  # noqa: ARG002
        """Unscaled output `[N, latents, language_dim]` from prepared features `[N, S, input_dim]`."""
        latents = self.latents.expand(len(features), -1, -1)
        source = torch.cat([self.projection(features), latents], dim=1)
        query = self.query(self.latents).expand(len(features), -1, -1)  # the same for all media
        key, value = self.key(source), self.value(source)
        query, key, value = (split(x, self.heads) for x in (query, key, value))
        found: Tensor = self.output(attend(query, key, value))
        return found
