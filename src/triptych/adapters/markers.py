"""Markers: a picture written like a text, each cell behind the words for its place.

    m m [cell] m [cell] m m [cell] …        "top left" ▢ "top" ▢ "top right" ▢ …

NVLM (Dai et al., 2024) tags the tiles of a picture with text for the same reason: what is written in front of
a thing is what a language model finds it by.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor, nn

from triptych.adapters.adapter import Adapter
from triptych.adapters.grid import GridAdapter


class Marked(Adapter):
    """An adapter whose cells stand behind learned vectors that start as the words for their places.

    Args:
        inner: The adapter of the cells.
        embed_text: Text → token embeddings `[L, D]`; without it the markers start as noise, one per cell.
    """

    def __init__(self, inner: Adapter, embed_text: Callable[[str], Tensor] | None = None) -> None:
        super().__init__(inner.encoder_dim, inner.grid, inner.language_dim, inner.embedding_std)
        self.inner = inner
        rows, columns = inner.pooled_grid if isinstance(inner, GridAdapter) else inner.grid
        words = place_words(rows, columns)
        if embed_text is None:
            starts = [torch.randn(1, self.language_dim) * self.embedding_std for _ in words]
        else:
            starts = [embed_text(f" {word}").detach().float() for word in words]
        self.cells = len(words)
        self.markers = nn.Parameter(torch.cat(list(starts)))
        self._layout = interleave([len(start) for start in starts])

    def output_tokens(self, n: int) -> int:
        """The cells and the markers of each grid in `n`."""
        cells = self.inner.output_tokens(n)
        return cells + cells // self.cells * len(self.markers)

    def forward(self, features: Tensor, texts: Sequence[str] | None = None) -> Tensor:  # noqa: ARG002
        """`[N, T', D]`: each cell behind its markers."""
        cells = self.inner(features)
        count = len(cells)
        grids = cells.reshape(-1, self.cells, self.language_dim)
        markers = self.markers.to(cells.dtype).expand(len(grids), -1, -1)
        order = torch.tensor(self._layout, device=cells.device)
        return torch.cat([markers, grids], dim=1)[:, order].reshape(count, -1, self.language_dim)

    def content(self, features: Tensor, texts: Sequence[str] | None = None) -> Tensor:  # noqa: ARG002
        """The cells without the markers."""
        return self.inner.content(features)


def place_words(rows: int, columns: int) -> list[str]:
    """The words for the place of each cell of a grid, by thirds: `top left`, `top`, …, `center`, …, `bottom right`."""
    words = []
    for row in range(rows):
        for column in range(columns):
            vertical = ("top", "", "bottom")[min(2, 3 * row // rows)]
            horizontal = ("left", "", "right")[min(2, 3 * column // columns)]
            words.append(f"{vertical} {horizontal}".strip() or "center")
    return words


def interleave(lengths: Sequence[int]) -> list[int]:
    """Where each output position comes from, in `[markers; cells]`: the markers of a cell, then the cell."""
    total, order, marker = sum(lengths), [], 0
    for cell, length in enumerate(lengths):
        order += [*range(marker, marker + length), total + cell]
        marker += length
    return order
