"""The Perceiver resampler of Flamingo (Alayrac et al., 2022): latents look at the features and at each other.

features [N, S, D] ─(+ time of the frame)─► LN ─┐ keys, values
latents  [Q, D] ─────────────────────► LN ──────┴─► attention ─ + ─► feed-forward ─ + ─► … depth times … ─► LN
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from triptych.adapters.attention import attend, split
from triptych.adapters.config import PerceiverConfig
from triptych.adapters.resampler import Resampler

ACTIVATIONS: dict[str, type[nn.Module]] = {"gelu": nn.GELU, "relu": nn.ReLU}


class Perceiver(Resampler):
    """The resampler, and a linear layer to the language model's width.

    Args:
        config: Sizes and options.
        encoder_dim: Channels of the features.
        grid: Rows and columns of the features of one picture.
        language_dim: Width of the language model.
        embedding_std: Standard deviation of the language model's token embeddings.
    """

    def __init__(
        self, config: PerceiverConfig, encoder_dim: int, grid: tuple[int, int], language_dim: int, embedding_std: float
    ) -> None:
        super().__init__(config, config.latents, encoder_dim, grid, language_dim, embedding_std)
        dim = self.input_dim
        self.latents = nn.Parameter(torch.randn(config.latents, dim))
        frames = config.media_positions
        self.times = nn.Parameter(torch.randn(frames, dim)) if frames else None
        self.layers = nn.ModuleList(Layer(config, dim) for _ in range(config.depth))
        self.final_norm = nn.LayerNorm(dim)
        self.projection = nn.Linear(dim, language_dim) if config.project else nn.Identity()
        self._start()

    @property
    def needs_grid(self) -> bool:
        """Whether only whole grids can be taken: there are cells to pool or to tell apart, or frames to count."""
        return super().needs_grid or self.times is not None

    def output_tokens(self, n: int) -> int:
        """As many for every `n` that can be taken."""
        count = super().output_tokens(n)
        frames = n // (self.grid[0] * self.grid[1])
        if self.times is not None and frames > len(self.times):
            raise ValueError(f"a medium of {frames} frames is longer than `media_positions: {len(self.times)}`")
        return count

    def resample(self, features: Tensor, texts: Sequence[str] | None = None) -> Tensor:  # noqa: ARG002
        """Unscaled output `[N, latents, language_dim]` from prepared features `[N, S, input_dim]`."""
        if self.times is not None:
            cells = self.pooled_grid[0] * self.pooled_grid[1]
            frames = features.shape[1] // cells
            features = features + self.times[:frames].repeat_interleave(cells, dim=0)
        x = self.latents.expand(len(features), -1, -1)
        for layer in self.layers:
            x = layer(x, features)
        projected: Tensor = self.projection(self.final_norm(x))
        return projected


class Layer(nn.Module):
    """One layer: attention over features and latents, then a feed-forward layer, each normalised in front."""

    def __init__(self, config: PerceiverConfig, dim: int) -> None:
        super().__init__()
        self.attention = Attention(dim, config.heads, config.head_dim, config.qk_norm)
        self.feed_forward = nn.Sequential(
            nn.LayerNorm(dim),
            nn.Linear(dim, dim * config.ff_mult, bias=False),
            ACTIVATIONS[config.activation](),
            nn.Linear(dim * config.ff_mult, dim, bias=False),
        )

    def forward(self, latents: Tensor, features: Tensor) -> Tensor:
        """Latents `[N, Q, D]` that have looked at features `[N, S, D]`."""
        latents = latents + self.attention(latents, features)
        out: Tensor = latents + self.feed_forward(latents)
        return out


class Attention(nn.Module):
    """Latents attend features and latents, side by side; no biases."""

    def __init__(self, dim: int, heads: int, head_dim: int, qk_norm: bool) -> None:
        super().__init__()
        self.heads = heads
        self.feature_norm = nn.LayerNorm(dim)
        self.latent_norm = nn.LayerNorm(dim)
        self.query = nn.Linear(dim, heads * head_dim, bias=False)
        self.key = nn.Linear(dim, heads * head_dim, bias=False)
        self.value = nn.Linear(dim, heads * head_dim, bias=False)
        self.output = nn.Linear(heads * head_dim, dim, bias=False)
        self.query_norm = nn.LayerNorm(head_dim) if qk_norm else nn.Identity()
        self.key_norm = nn.LayerNorm(head_dim) if qk_norm else nn.Identity()

    def forward(self, latents: Tensor, features: Tensor) -> Tensor:
        """What the latents `[N, Q, D]` find, `[N, Q, D]`."""
        latents = self.latent_norm(latents)
        source = torch.cat([self.feature_norm(features), latents], dim=1)
        query = self.query_norm(split(self.query(latents), self.heads))
        key = self.key_norm(split(self.key(source), self.heads))
        found: Tensor = self.output(attend(query, key, split(self.value(source), self.heads)))
        return found
