"""The text side of a detector: from phrases to directions."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from triptych.encoders.text_transformer import TextTower
from triptych.sequence.pairs import Words

ARTICLES = ("a ", "an ", "the ")


def bare(phrase: str) -> str:
    """A phrase without its article, in lower case: "The Dog" is "dog"."""
    found = " ".join(phrase.lower().split()).strip(" .?!")
    return next((found.removeprefix(article) for article in ARTICLES if found.startswith(article)), found)


class EmbeddedPhrases(nn.Module):
    """The mean of a phrase's frozen token embeddings, through a linear layer.

    Args:
        table: `[V, D]` token embeddings; they are neither trained nor saved.
        tokenizer: That goes with them.
        embed_dim: Channels that come out.
    """

    def __init__(self, table: Tensor, tokenizer: Any, embed_dim: int) -> None:
        super().__init__()
        self.register_buffer("table", table, persistent=False)
        self.tokenizer = tokenizer
        self.norm = nn.LayerNorm(table.shape[1])
        self.projection = nn.Linear(table.shape[1], embed_dim)

    def forward(self, phrases: Sequence[str]) -> Tensor:
        """`[P, E]` of P phrases."""
        table = self.get_buffer("table")
        found = [table[torch.tensor(self.ids(phrase), device=table.device)].float().mean(dim=0) for phrase in phrases]
        directions: Tensor = self.projection(self.norm(torch.stack(found)))
        return directions

    def ids(self, phrase: str) -> list[int]:
        """As it stands inside a sentence; an empty phrase means nothing, and is read as that word."""
        return list(self.tokenizer(f" {bare(phrase) or 'nothing'}", add_special_tokens=False)["input_ids"])


class TowerPhrases(nn.Module):
    """The text tower of a dual encoder.

    Args:
        tower: With an output of the detector's channels.
        words: Texts → ids.
    """

    def __init__(self, tower: TextTower, words: Words) -> None:
        super().__init__()
        self.tower, self.words = tower, words

    def forward(self, phrases: Sequence[str]) -> Tensor:
        """`[P, E]` of P phrases."""
        device = next(self.tower.parameters()).device
        ids, lengths = self.words([bare(phrase) for phrase in phrases])
        found: Tensor = self.tower(ids.to(device), lengths.to(device))
        return found
