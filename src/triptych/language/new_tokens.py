"""Tokens that a language model did not know: rows of its embedding table of their own, which learn while it is frozen.

    id < first ──► the model's own table          id ≥ first ──► row id - first of the new ones
    logits: those of the model's own head, and behind them those of the new rows

The model's own tensors stay as they are, so this works with weights of any origin and of any vocabulary.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn


class NewTokens(nn.Module):
    """Embeddings of tokens behind those that a language model knows; the same rows are read and predicted.

    A row starts as the mean of the known embeddings plus what its initial vector says. Tokens on a grid are sums of a row of the
    grid, a column, and something of their own (zero at first): neighbours learn together, and a token that is
    seldom seen is known by its row and its column.

    Args:
        first: Id of the first.
        starts: `[N, D]` initial vectors, for all but those on the grid.
        bins: Side of the grid whose bins² tokens follow behind; 0 where there is none.
        mean: `[D]` of the known embeddings.
        spread: Standard deviation of the known embeddings.
    """

    def __init__(self, first: int, starts: Tensor, bins: int, mean: Tensor, spread: float) -> None:
        super().__init__()
        self.first, self.bins = first, bins
        self.names = nn.Parameter(starts.detach().float().clone())
        self.cells: nn.Parameter | None = None
        self.grid_rows: nn.Parameter | None = None
        self.grid_columns: nn.Parameter | None = None
        if bins:
            wave = sinusoids(bins, mean.shape[0] // 2).to(mean.device) * (spread * math.sqrt(2))
            nothing = wave.new_zeros(bins, mean.shape[0] - wave.shape[1])
            self.cells = nn.Parameter(mean.new_zeros(bins * bins, mean.shape[0], dtype=torch.float32))
            self.grid_rows = nn.Parameter(mean.float() / 2 + torch.cat([wave, nothing], dim=1))
            self.grid_columns = nn.Parameter(mean.float() / 2 + torch.cat([nothing, wave], dim=1))

    def __len__(self) -> int:
        return len(self.names) + self.bins**2

    @property
    def last(self) -> int:
        """One more than the last id."""
        return self.first + len(self)

    @property
    def table(self) -> Tensor:
        """All rows `[N, D]`, in float32."""
        if self.cells is None or self.grid_rows is None or self.grid_columns is None:
            return self.names
        grid = (self.grid_rows[:, None] + self.grid_columns[None]).flatten(0, 1) + self.cells
        return torch.cat([self.names, grid])

    def embed(self, ids: Tensor, known: nn.Embedding) -> Tensor:
        """Embeddings `[..., D]` of ids `[...]`, known ones and new ones."""
        new = (ids >= self.first) & (ids < self.last)
        embedded: Tensor = known(ids.masked_fill(new, 0))
        if not torch.any(new):
            return embedded
        rows = nn.functional.embedding((ids - self.first).clamp(0, len(self) - 1), self.table.to(embedded.dtype))
        return torch.where(new[..., None], rows, embedded)

    def logits(self, hidden: Tensor, known: Tensor) -> Tensor:
        """Logits `[..., V']` of all tokens from hidden states `[..., D]` and the known tokens' logits `[..., V]`."""
        new = nn.functional.linear(hidden, self.table.to(hidden.dtype))
        return torch.cat([known[..., : self.first], new, known[..., self.last :]], dim=-1)


def sinusoids(places: int, channels: int) -> Tensor:
    """`[places, channels]` of sines and cosines of wavelengths from 2 places to 4 times all of them (unit variance is 1/2)."""
    pairs = (channels + 1) // 2
    wavelengths = 2.0 * (2.0 * places) ** torch.linspace(0, 1, pairs)
    angles = 2 * math.pi * torch.arange(places)[:, None] / wavelengths
    return torch.cat([angles.sin(), angles.cos()], dim=1)[:, :channels]


def start_of(names: Sequence[str], known: nn.Embedding, ids_of: Sequence[Sequence[int]]) -> Tensor:
    """Initial vectors `[N, D]` of new tokens: the mean embedding of the words in each one's name, of all where it has none.

    Args:
        names: The tokens.
        known: The table of the known ones.
        ids_of: Of each name, the known ids of the words in it.
    """
    table = known.weight.detach().float()
    middle = table.mean(dim=0)
    rows = [table[list(ids)].mean(dim=0) if len(ids) else middle for ids in ids_of]
    # Names of the same words (an opening tag and a closing one) must not start, and so stay, alike.
    noise = torch.randn(len(names), table.shape[1], device=table.device) * (table.std() * 0.1)
    return torch.stack(rows) + noise if rows else table.new_zeros(0, table.shape[1])


def new_names(tokenizer: Any, names: Sequence[str]) -> list[str]:
    """Those of the names that are no tokens yet."""
    known = tokenizer.get_vocab()
    return [name for name in names if name not in known]


def introduce(tokenizer: Any, names: Sequence[str]) -> int:
    """Make names tokens of a tokenizer, at its end; what is said in these words stays text. Returns the first one's id."""
    first = len(tokenizer)
    tokenizer.add_tokens(list(names), special_tokens=True)
    assert tokenizer.convert_tokens_to_ids(names[0]) == first
    return first
