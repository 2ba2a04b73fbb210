"""Pictures as batches."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from triptych.conversation import Conversation, Image
from triptych.data.features import FeatureCache
from triptych.data.loader import Draws, Event, StepData
from triptych.data.mixture import Mixture
from triptych.data.pairs import picture_of
from triptych.data.sources import Source
from triptych.sequence.pack import Document


def pixels(picture: Image, side: int) -> Tensor:
    """`[3, S, S]` (0–255) of a picture."""
    small = picture.open().convert("RGB").resize((side, side))
    return torch.from_numpy(np.asarray(small).copy()).permute(2, 0, 1)


@dataclass(frozen=True)
class PictureBatch:
    """Pictures `[N, 3, S, S]`; picture i is row i."""

    pictures: Tensor
    conversations: tuple[Document, ...]

    @property
    def ids(self) -> range:
        """Row numbers."""
        return range(len(self.conversations))

    @property
    def tokens(self) -> int:
        """Pixels."""
        return self.pictures.numel()

    @property
    def supervised(self) -> int:
        """Pictures."""
        return len(self.conversations)

    def rows(self, keep: Sequence[int]) -> PictureBatch:
        """Some of the pictures."""
        return PictureBatch(self.pictures[list(keep)], tuple(self.conversations[i] for i in keep))

    def split(self, rows: int) -> list[PictureBatch]:
        """Batches of at most `rows` pictures."""
        return [self.rows(range(i, min(i + rows, len(self.ids)))) for i in range(0, len(self.ids), rows)]


@dataclass(frozen=True)
class PictureReader:
    """Turns draws into batches of pictures."""

    sources: Mapping[str, Source]
    mixture: Mixture
    batch_size: int
    side: int

    @property
    def caches(self) -> Mapping[str, FeatureCache | None]:
        """Nothing is frozen in front."""
        return {}

    def __call__(self, step: int) -> StepData:
        """The data of a step."""

        def read(_: int, conversation: Conversation) -> Tensor:
            return pixels(picture_of(conversation), self.side)

        events: list[Event] = []
        rows, documents = [], []
        for dataset, record, picture in Draws(self.sources, self.mixture, self.batch_size).read(step, events, read):
            documents.append(Document(len(rows), record, {}, (), dataset))
            rows.append(picture)
        batch = PictureBatch(torch.stack(rows), tuple(documents)) if rows else None
        return StepData(batch, tuple(events))
