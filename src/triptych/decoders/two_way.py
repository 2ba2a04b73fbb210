"""SAM's two-way transformer (Kirillov et al., 2023, appendix A): prompts look at the picture, the picture at prompts.

    prompts [K, S, C] ─► self-attention ─► attend to the picture ─► feed-forward ─┬─────────────► prompts
    picture [N, T, C] ──────────────────────────────────────────► attend to prompts ─► picture [K, T, C]

Every prompt sees the picture in a state of its own. Up to the first change all prompts of a picture share one, which is
then projected once per picture (N), not once per prompt (K).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

from torch import Tensor, nn
from torch.nn import functional

Owners: TypeAlias = Callable[[Tensor], Tensor]
"""From tensors of pictures `[N, …]` to those of prompts `[K, …]`; the identity once every prompt has its own picture."""


class Attention(nn.Module):
    """Multi-head attention in fewer channels than it takes and gives.

    Args:
        width: Channels, C.
        heads: How many.
        inner: Channels of queries, keys and values together.
    """

    def __init__(self, width: int, heads: int, inner: int) -> None:
        super().__init__()
        self.heads = heads
        self.query, self.key, self.value = (nn.Linear(width, inner) for _ in range(3))
        self.output = nn.Linear(inner, width)

    def forward(self, query: Tensor, key: Tensor, value: Tensor) -> Tensor:
        """`[K, S, C]` of queries `[K, S, C]`, keys and values `[K, T, C]`."""
        return self.attend(self.query(query), self.key(key), self.value(value))

    def attend(self, query: Tensor, key: Tensor, value: Tensor) -> Tensor:
        """The same of what was projected already."""
        q, k, v = (x.reshape(*x.shape[:2], self.heads, -1).transpose(1, 2) for x in (query, key, value))
        attended = functional.scaled_dot_product_attention(q, k, v)
        out: Tensor = self.output(attended.transpose(1, 2).flatten(2))
        return out


class TwoWayBlock(nn.Module):
    """One block. In the first, prompts are their own position and take the place of what they were.

    Args:
        width: Channels, C.
        heads: Of every attention.
        feed_forward: Inner width of the feed-forward part.
        reduction: Attention between prompts and picture runs in `width / reduction` channels.
        first: Whether it is the first.
    """

    def __init__(self, width: int, heads: int, feed_forward: int, reduction: int, first: bool) -> None:
        super().__init__()
        self.first = first
        self.self_attention = Attention(width, heads, width)
        self.norm1 = nn.LayerNorm(width, eps=1e-6)
        self.to_picture = Attention(width, heads, width // reduction)
        self.norm2 = nn.LayerNorm(width, eps=1e-6)
        self.up, self.down = nn.Linear(width, feed_forward), nn.Linear(feed_forward, width)
        self.norm3 = nn.LayerNorm(width, eps=1e-6)
        self.norm4 = nn.LayerNorm(width, eps=1e-6)
        self.from_picture = Attention(width, heads, width // reduction)

    def forward(
        self, tokens: Tensor, picture: Tensor, places: Tensor, cells: Tensor, owners: Owners
    ) -> tuple[Tensor, Tensor]:
        """Tokens `[K, S, C]` and picture `[K, T, C]`, changed.

        Args:
            tokens: `[K, S, C]`.
            picture: `[N, T, C]`, or `[K, T, C]`.
            places: `[K, S, C]`, what says which token is which.
            cells: `[T, C]`, what says where a cell is.
            owners: See `Owners`.
        """
        if self.first:
            tokens = self.self_attention(tokens, tokens, tokens)
        else:
            placed = tokens + places
            tokens = tokens + self.self_attention(placed, placed, tokens)
        tokens = self.norm1(tokens)
        looking, located = self.to_picture, picture + cells
        key, value = owners(looking.key(located)), owners(looking.value(picture))
        tokens = self.norm2(tokens + looking.attend(looking.query(tokens + places), key, value))
        tokens = self.norm3(tokens + self.down(functional.relu(self.up(tokens))))
        looking = self.from_picture
        query = owners(looking.query(located))
        change = looking.attend(query, looking.key(tokens + places), looking.value(tokens))
        return tokens, self.norm4(owners(picture) + change)


class TwoWayTransformer(nn.Module):
    """Blocks, and one last look of the tokens at the picture. Arguments as those of `TwoWayBlock`."""

    def __init__(self, layers: int, width: int, heads: int, feed_forward: int, reduction: int) -> None:
        super().__init__()
        self.layers = nn.ModuleList(
            TwoWayBlock(width, heads, feed_forward, reduction, first=i == 0) for i in range(layers)
        )
        self.last_look = Attention(width, heads, width // reduction)
        self.norm = nn.LayerNorm(width)

    def forward(self, tokens: Tensor, picture: Tensor, cells: Tensor, owner: Tensor) -> tuple[Tensor, Tensor]:
        """Tokens `[K, S, C]` and picture `[K, T, C]` after the conversation between them.

        Args:
            tokens: `[K, S, C]`.
            picture: `[N, T, C]`.
            cells: `[T, C]`.
            owner: `[K]`, which of the N pictures each prompt is about.
        """
        places = tokens
        owners: Owners = lambda x: x[owner]  # noqa: E731 - named by its type
        for layer in self.layers:
            tokens, picture = layer(tokens, picture, places, cells, owners)
            owners = _same
        return self.norm(tokens + self.last_look(tokens + places, picture + cells, picture)), picture


def _same(x: Tensor) -> Tensor:
    return x
