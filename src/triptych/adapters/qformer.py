"""The querying transformer of BLIP-2 (Li et al., 2023): learned queries read features, and text where there is any.

    queries [N, Q, W] ─┐                    ┌─ (every k-th layer) attention over features ─ feed-forward ─► queries
                       ├─ self-attention ───┤
    text    [N, L, W] ─┘     (shared)       └─ feed-forward of its own ──────────────────────────────────► text

Blocks are BERT's: a LayerNorm behind every sum (post-LN). Queries have no positions; text has words and positions.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TypeAlias

import torch
from torch import Tensor, nn

from triptych.adapters.attention import attend, split
from triptych.adapters.config import QFormerConfig

KeysValues: TypeAlias = tuple[Tensor, Tensor]
"""Keys and values of one layer's attention, each `[N, H, Q + L, W / H]`, or `[N, H, S, W / H]` of features."""

Seen: TypeAlias = list[KeysValues | None]
"""What each layer has to look at; None where it does not look."""

EPSILON = 1e-12
"""Of BERT's layer normalisation."""


@dataclass(frozen=True)
class QFormerStates:
    """The last hidden states.

    Args:
        queries: `[N, Q, W]`; Q is 0 where no queries were read.
        text: `[N, L, W]`; L is 0 where no text was read.
        cache: By layer, the keys and values of what was read in this call.
    """

    queries: Tensor
    text: Tensor
    cache: list[KeysValues] = field(default_factory=list)


class QFormer(nn.Module):
    """The querying transformer. The queries are given to `forward`: who owns them decides how they start.

    Args:
        width: Channels W of queries and text.
        layers: Number of blocks.
        heads: Attention heads; divides `width`.
        intermediate: Width inside the feed-forward layers.
        cross_every: Layers 0, k, 2k, … look at the features.
        feature_dim: Channels of the features, D.
        vocabulary: Number of words of the text side; None leaves the text side out, with all its parameters.
        text_positions: The longest text.
        dropout: Of attention weights and of what is added to the residual stream.
    """

    def __init__(
        self,
        *,
        width: int,
        layers: int,
        heads: int,
        intermediate: int,
        cross_every: int,
        feature_dim: int,
        vocabulary: int | None = None,
        text_positions: int = 512,
        dropout: float = 0.0,
    ) -> None:
        super().__init__()
        self.width = width
        self.text_positions = text_positions
        self.words = nn.Embedding(vocabulary, width) if vocabulary is not None else None
        self.places = nn.Embedding(text_positions, width) if vocabulary is not None else None
        self.norm = nn.LayerNorm(width, eps=EPSILON)
        self.dropout = nn.Dropout(dropout)
        self.layers = nn.ModuleList(
            Block(
                width,
                heads,
                intermediate,
                feature_dim if layer % cross_every == 0 else None,
                vocabulary is not None,
                dropout,
            )
            for layer in range(layers)
        )
        for embedding in (self.words, self.places):
            if embedding is not None:
                nn.init.normal_(embedding.weight, std=0.02)

    @classmethod
    def from_config(cls, config: QFormerConfig, feature_dim: int, vocabulary: int | None) -> QFormer:
        """As a recipe says, for features of so many channels, with so many words or without a text side."""
        return cls(
            width=config.width,
            layers=config.layers,
            heads=config.heads,
            intermediate=config.intermediate,
            cross_every=config.cross_every,
            feature_dim=feature_dim,
            vocabulary=vocabulary,
            text_positions=config.text_tokens,
            dropout=config.dropout,
        )

    def forward(
        self,
        queries: Tensor | None = None,
        features: Tensor | None = None,
        ids: Tensor | None = None,
        *,
        feature_mask: Tensor | None = None,
        text_mask: Tensor | None = None,
        causal: bool = False,
        cache: Sequence[KeysValues] | None = None,
        seen: Seen | None = None,
    ) -> QFormerStates:
        """Read queries with features, text, or both.

        Args:
            queries: `[N, Q, W]`; they need `features`, or `seen`.
            features: `[N, S, D]`.
            ids: Text `[N, L]`; a row of its own has to begin with a token that `text_mask` shows.
            feature_mask: `[N, S]`, true where there is a feature; None shows all.
            text_mask: `[N, L]`, true where there is a token; None shows all.
            causal: Text sees queries and the text before it, and queries see queries only. Otherwise everything sees
                everything.
            cache: Keys and values of queries that were read before, for text that is read alone: it then sees them as
                if they stood in front of it.
            seen: What `look` made of the features, instead of them: one look serves several readings.

        Raises:
            ValueError: There is nothing to read, queries have no features, or text is too long or has no text side.
        """
        pieces = []
        if queries is not None:
            if features is None and seen is None:
                raise ValueError("queries need features to look at")
            pieces.append(queries)
        if ids is not None:
            pieces.append(self._embedded(ids))
        if not pieces:
            raise ValueError("there is nothing to read: give queries or text")
        asked = 0 if queries is None else queries.shape[1]
        behind = 0 if cache is None else cache[0][0].shape[2]
        x: Tensor = self.dropout(self.norm(torch.cat(pieces, dim=1)))
        mask = _mask(x, asked, behind, text_mask, causal)
        shown = None if feature_mask is None else feature_mask[:, None, None].bool()
        kept = []
        for i, layer in enumerate(self.layers):
            looks = None
            if asked and isinstance(layer, Block):
                looks = layer.look(features) if seen is None else seen[i]
            x, keys_values = layer(x, asked, mask, looks, shown, None if cache is None else cache[i])
            kept.append(keys_values)
        return QFormerStates(x[:, :asked], x[:, asked:], kept)

    def look(self, features: Tensor) -> Seen:
        """What queries will look at, for `seen` of `forward`: features `[N, S, D]` as keys and values of each layer."""
        return [layer.look(features) for layer in self.layers if isinstance(layer, Block)]

    def _embedded(self, ids: Tensor) -> Tensor:
        if self.words is None or self.places is None:
            raise ValueError("this Q-Former was built without its text side")
        if ids.shape[1] > self.text_positions:
            raise ValueError(f"a text of {ids.shape[1]} tokens is longer than the {self.text_positions} that fit")
        embedded: Tensor = self.words(ids) + self.places.weight[: ids.shape[1]]
        return embedded


class Block(nn.Module):
    """One layer; `feature_dim` is None where it does not look at features, `text` says whether it has a text side."""

    def __init__(
        self, width: int, heads: int, intermediate: int, feature_dim: int | None, text: bool, dropout: float
    ) -> None:
        super().__init__()
        self.attention = Attention(width, heads, width, dropout)
        self.cross = Attention(width, heads, feature_dim, dropout) if feature_dim is not None else None
        self.feed_forward = FeedForward(width, intermediate, dropout)
        self.text_feed_forward = FeedForward(width, intermediate, dropout) if text else None

    def forward(
        self,
        x: Tensor,
        asked: int,
        mask: Tensor | None,
        seen: KeysValues | None,
        feature_mask: Tensor | None,
        cached: KeysValues | None,
    ) -> tuple[Tensor, KeysValues]:
        """`[N, Q + L, W]`, of which the first `asked` positions are queries, and the keys and values of it."""
        own = self.attention.keys_values(x)
        x = self.attention(x, own if cached is None else _behind(cached, own), mask)
        queries, text = x[:, :asked], x[:, asked:]
        if asked:
            if self.cross is not None:
                queries = self.cross(queries, seen, feature_mask)
            queries = self.feed_forward(queries)
        if self.text_feed_forward is not None and text.shape[1]:
            text = self.text_feed_forward(text)
        return torch.cat([queries, text], dim=1), own

    def look(self, features: Tensor | None) -> KeysValues | None:
        """Keys and values of features `[N, S, D]`; None where the layer does not look at them."""
        return None if self.cross is None or features is None else self.cross.keys_values(features)


class Attention(nn.Module):
    """Attention over `source_dim` channels, with its residual sum and normalisation."""

    def __init__(self, width: int, heads: int, source_dim: int, dropout: float) -> None:
        super().__init__()
        self.heads = heads
        self.query = nn.Linear(width, width)
        self.key = nn.Linear(source_dim, width)
        self.value = nn.Linear(source_dim, width)
        self.output = nn.Linear(width, width)
        self.norm = nn.LayerNorm(width, eps=EPSILON)
        self.dropout = nn.Dropout(dropout)
        _start(self.query, self.key, self.value, self.output)

    def keys_values(self, source: Tensor) -> KeysValues:
        """Keys and values of `[N, S, D]`."""
        return split(self.key(source), self.heads), split(self.value(source), self.heads)

    def forward(self, x: Tensor, seen: KeysValues, mask: Tensor | None) -> Tensor:
        """`[N, L, W]` that attends keys and values."""
        attended = attend(split(self.query(x), self.heads), *seen, mask, self.dropout.p if self.training else 0.0)
        out: Tensor = self.norm(x + self.dropout(self.output(attended)))
        return out


class FeedForward(nn.Module):
    """Two linear layers with a GELU between, with their residual sum and normalisation."""

    def __init__(self, width: int, intermediate: int, dropout: float) -> None:
        super().__init__()
        self.up = nn.Linear(width, intermediate)
        self.activation = nn.GELU()
        self.down = nn.Linear(intermediate, width)
        self.norm = nn.LayerNorm(width, eps=EPSILON)
        self.dropout = nn.Dropout(dropout)
        _start(self.up, self.down)

    def forward(self, x: Tensor) -> Tensor:
        """`[N, L, W]` of the same."""
        out: Tensor = self.norm(x + self.dropout(self.down(self.activation(self.up(x)))))
        return out


def _behind(cached: KeysValues, own: KeysValues) -> KeysValues:
    """Keys and values of positions that stand behind others."""
    return torch.cat([cached[0], own[0]], dim=2), torch.cat([cached[1], own[1]], dim=2)


def _start(*layers: nn.Linear) -> None:
    """PyTorch's weights, which at BERT's width have BERT's spread (0.58 / √768 = 0.021), and biases of zero."""
    for layer in layers:
        nn.init.zeros_(layer.bias)


def _mask(x: Tensor, asked: int, behind: int, text_mask: Tensor | None, causal: bool) -> Tensor | None:
    """`[N or 1, 1, Q + L, behind + Q + L]`, true where a position sees another; None where all see all."""
    if text_mask is None and not causal:
        return None
    count, length = x.shape[:2]
    text, before = length - asked, behind + asked
    seen = torch.ones(1, length, before + text, dtype=torch.bool, device=x.device)
    if causal:
        seen[:, :asked, before:] = False
        seen[:, asked:, before:] = torch.ones(text, text, dtype=torch.bool, device=x.device).tril()
    if text_mask is not None:
        shown = torch.cat([text_mask.new_ones(count, before, dtype=torch.bool), text_mask.bool()], dim=1)
        seen = seen & shown[:, None]
    return seen[:, None]
