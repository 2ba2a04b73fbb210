"""Pairs of a picture and a text, as tensors."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor

from triptych.conversation import Image
from triptych.sequence.pack import Document

COUNTED = 4096
"""Columns in which the tokens of a text are counted."""


@dataclass(frozen=True)
class PairBatch:
    """N pairs; pair i is row i.

    Args:
        pixels: `[N, 3, H, W]`, uint8, as the image side takes them; or the features `[N, T, D]` that its frozen encoder made
            of them before.
        ids: `[N, L]` token ids, padded at the right.
        lengths: `[N]` tokens of each text, its end token among them.
        media: The pictures.
        texts: The texts.
        conversations: Where the pairs come from.
    """

    pixels: Tensor
    ids: Tensor
    lengths: Tensor
    media: tuple[Image, ...]
    texts: tuple[str, ...]
    conversations: tuple[Document, ...]

    def __len__(self) -> int:
        return len(self.conversations)

    @property
    def supervised(self) -> int:
        """Number of pairs: each is one thing to learn."""
        return len(self)

    @property
    def tokens(self) -> int:
        """Number of tokens without padding."""
        return int(self.lengths.sum())

    def rows(self, keep: Sequence[int]) -> PairBatch:
        """Some of the pairs as a batch of their own, without the padding that they do not need."""
        index = torch.as_tensor(list(keep), dtype=torch.long)
        lengths = self.lengths[index]
        longest = int(lengths.max()) if len(lengths) else 0
        return PairBatch(
            pixels=self.pixels[index],
            ids=self.ids[index, :longest],
            lengths=lengths,
            media=tuple(self.media[i] for i in keep) if self.media else (),
            texts=tuple(self.texts[i] for i in keep) if self.texts else (),
            conversations=tuple(replace(self.conversations[i], row=row, media=(row,)) for row, i in enumerate(keep)),
        )

    def split(self, rows: int) -> list[PairBatch]:
        """Batches of at most `rows` pairs."""
        return [self.rows(range(i, min(i + rows, len(self)))) for i in range(0, len(self), rows)]


class Words:
    """Texts as ids: the tokenizer's begin token where it has one, the words, the end token; too long a text is cut.

    Args:
        tokenizer: A transformers tokenizer with an end token.
        max_tokens: Of a text, the end token among them.
    """

    def __init__(self, tokenizer: Any, max_tokens: int) -> None:
        self.tokenizer, self.max_tokens = tokenizer, max_tokens

    @property
    def vocabulary(self) -> int:
        """How many ids there are."""
        return len(self.tokenizer)

    @property
    def end(self) -> int:
        """The id of the end token."""
        return int(self.tokenizer.eos_token_id)

    def ids(self, text: str) -> list[int]:
        """The ids of a text."""
        found = list(self.tokenizer(text, add_special_tokens=False)["input_ids"])
        if self.tokenizer.bos_token_id is not None:
            found = [int(self.tokenizer.bos_token_id), *found]
        return [*found[: self.max_tokens - 1], self.end]

    def __call__(self, texts: Sequence[str]) -> tuple[Tensor, Tensor]:
        """Ids `[N, L]`, padded with the end token, and lengths `[N]`."""
        found = [self.ids(text) for text in texts]
        lengths = torch.tensor([len(ids) for ids in found], dtype=torch.long)
        padded = torch.full((len(found), int(lengths.max()) if found else 0), self.end, dtype=torch.long)
        for row, ids in enumerate(found):
            padded[row, : len(ids)] = torch.tensor(ids)
        return padded, lengths
