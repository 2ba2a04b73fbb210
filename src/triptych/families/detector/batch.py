"""Pictures with boxes and what they are called, as tensors."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from triptych.conversation import Image
from triptych.sequence.pack import Document


@dataclass(frozen=True)
class DetectionBatch:
    """N pictures; picture i is row i.

    Args:
        features: `[N, T, D]`, where the encoder ran before; None otherwise.
        pixels: `[N, 3, H, W]`, where it still has to run; None otherwise.
        boxes: Per picture `[K, 4]`: left, top, right, bottom as shares of the square that the encoder sees.
        names: Per picture what each box is called: K phrases.
        media: The pictures.
        conversations: Where they come from.
    """

    features: Tensor | None
    pixels: Tensor | None
    boxes: tuple[Tensor, ...]
    names: tuple[tuple[str, ...], ...]
    media: tuple[Image, ...]
    conversations: tuple[Document, ...]

    def __len__(self) -> int:
        return len(self.conversations)

    @property
    def ids(self) -> range:
        """Row numbers: what shares rows among processes counts them."""
        return range(len(self))

    @property
    def supervised(self) -> int:
        """Number of boxes: each is one thing to learn."""
        return sum(map(len, self.names))

    @property
    def tokens(self) -> int:
        """Number of words in all names."""
        return sum(len(name.split()) for own in self.names for name in own)

    @property
    def vocabulary(self) -> list[str]:
        """Every name of the batch, once, in alphabetical order."""
        return sorted({name for own in self.names for name in own})

    def rows(self, keep: Sequence[int]) -> DetectionBatch:
        """Some of the pictures as a batch of their own."""
        index = torch.as_tensor(list(keep), dtype=torch.long)
        return DetectionBatch(
            features=self.features[index] if self.features is not None else None,
            pixels=self.pixels[index] if self.pixels is not None else None,
            boxes=tuple(self.boxes[i] for i in keep),
            names=tuple(self.names[i] for i in keep),
            media=tuple(self.media[i] for i in keep),
            conversations=tuple(replace(self.conversations[i], row=row, media=(row,)) for row, i in enumerate(keep)),
        )

    def split(self, rows: int) -> list[DetectionBatch]:
        """Batches of at most `rows` pictures."""
        return [self.rows(range(i, min(i + rows, len(self)))) for i in range(0, len(self), rows)]
