"""The media that a batch of rows has at hand, and the rule that says which token sees which.

The rule looks at documents and positions alone, never at where something stands in a row. So it is the same for packed
rows in training, for prompts that are padded on the left, for a prefix that several prompts share, and for one token
at a time while an answer is written.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence

NOBODY = -2
"""The document of padding: no token has it (padding tokens have -1)."""


@dataclass(frozen=True)
class Spot:
    """Where a medium stands: its row, its document, its position within the document, and which of the features it is."""

    row: int
    document: int
    start: int
    features: int


@dataclass
class Memory:
    """Tokens of media, side by side in rows.

    Args:
        tokens: `[R, S, D]`, padded.
        documents: `[R, S]` the document that each belongs to, `NOBODY` for padding.
        starts: `[R, S]` the position within the document at which its medium stands.
        projected: Keys and values `[R, H, S', d]` that layers made of them, kept by number of the layer.
    """

    tokens: Tensor
    documents: Tensor
    starts: Tensor
    projected: dict[int, tuple[Tensor, Tensor]] = field(default_factory=dict)

    def select(self, index: Tensor) -> Memory:
        """Some of the rows `[R']`, in any order, repeated or not; with what was made of them."""
        return Memory(
            self.tokens[index],
            self.documents[index],
            self.starts[index],
            {number: (keys[index], values[index]) for number, (keys, values) in self.projected.items()},
        )

    def own(self, documents_RL: Tensor) -> Tensor:
        """Whether a token belongs to the same document as a medium's token: `[R, L, S]`."""
        return documents_RL[:, :, None] == self.documents[:, None, :]

    def seen(self, positions_RL: Tensor, documents_RL: Tensor, last: bool) -> Tensor:
        """Whether a token sees a medium's token: `[R, L, S]`.

        Those of its document that start at its position or before it; with `last`, only the latest of these.
        """
        starts = self.starts[:, None, :]
        seen = self.own(documents_RL) & (starts <= positions_RL[:, :, None])
        if last and seen.shape[-1]:
            latest = torch.where(seen, starts, -1).amax(dim=-1, keepdim=True)
            seen &= starts == latest
        return seen


def remember(features: Sequence[Tensor], spots: Sequence[Spot], rows: int, like: Tensor) -> Memory:
    """The memory of `rows` rows.

    Args:
        features: Per medium `[T, D]`.
        spots: Where they stand; features may stand in several places.
        rows: R.
        like: A tensor `[..., D]` of the language model, for width, precision and device.
    """
    tokens, documents, starts = [], [], []
    for row in range(rows):
        here = sorted((spot for spot in spots if spot.row == row), key=lambda spot: (spot.document, spot.start))
        lengths = torch.tensor([len(features[spot.features]) for spot in here], dtype=torch.long)
        empty = like.new_zeros(0, like.shape[-1])
        tokens.append(torch.cat([empty, *(features[spot.features].to(like.dtype) for spot in here)]))
        documents.append(torch.tensor([spot.document for spot in here], dtype=torch.long).repeat_interleave(lengths))
        starts.append(torch.tensor([spot.start for spot in here], dtype=torch.long).repeat_interleave(lengths))
    return Memory(
        pad_sequence(tokens, batch_first=True),
        pad_sequence(documents, batch_first=True, padding_value=NOBODY).to(like.device),
        pad_sequence(starts, batch_first=True).to(like.device),
    )
