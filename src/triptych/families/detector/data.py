"""Loading pictures with boxes: what step k of a detector's training looks at.

    mixture.draw(n) ──► source[i] ──► its picture and what is where ──► features or pixels, boxes, names ──► DetectionBatch
                            └────────────────┴──► ledger, when one of them refuses

A step's data is a pure function of its number, so resuming needs nothing but that number.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from triptych.conversation import Conversation, Image, Region
from triptych.data.features import FeatureCache
from triptych.data.loader import Draws, Event, SlotInputs, StepData
from triptych.data.mixture import Mixture
from triptych.data.pairs import picture_of
from triptych.data.regions import regions_of
from triptych.data.sources import Source
from triptych.encoders.preparation import ImagePreparation
from triptych.families.detector.batch import DetectionBatch
from triptych.sequence.pack import Document
from triptych.sequence.plan import Refusal


@dataclass(frozen=True)
class DetectionReader:
    """Turns draws into pictures with boxes. It is what worker processes run.

    Args:
        sources: Datasets by name.
        mixture: Which record comes when.
        batch_size: Pictures per step.
        preparation: Makes the encoder's pixels, and says where the picture's own go.
        prepare: Picture → pixels; raises `DataError`.
        cache: Features of pictures that were encoded before; None when the encoder has to run in every step.
    """

    sources: Mapping[str, Source]
    mixture: Mixture
    batch_size: int
    preparation: ImagePreparation
    prepare: Callable[[Image], Tensor]
    cache: FeatureCache | None

    @property
    def caches(self) -> Mapping[str, FeatureCache | None]:
        """See `StepReader.caches`."""
        return {"image": self.cache}

    def __call__(self, step: int) -> StepData:
        """The data of a step, a pure function of its number."""
        rows: list[tuple[Image, Tensor | None, Tensor | None, Tensor, tuple[str, ...], Document]] = []
        events: list[Event] = []
        draws = Draws(self.sources, self.mixture, self.batch_size)
        for dataset, record, (picture, features, pixels, boxes, names, facts) in draws.read(step, events, self._row):
            document = Document(len(rows), record, facts, (len(rows),), dataset)
            rows.append((picture, features, pixels, boxes, names, document))
        if not rows:
            return StepData(None, tuple(events))
        media, features_, pixels_, boxes_, names_, documents = zip(*rows, strict=True)
        encoded = all(f is not None for f in features_)
        if not encoded:  # one picture that could not be encoded ahead: all of the step's run live
            pixels_ = tuple(self.prepare(m) if p is None else p for m, p in zip(media, pixels_, strict=True))
        batch = DetectionBatch(
            torch.stack(features_) if encoded else None,
            None if encoded else torch.stack(pixels_),
            boxes_,
            names_,
            media,
            documents,
        )
        return StepData(batch, tuple(events))

    def _row(
        self, _: int, conversation: Conversation
    ) -> tuple[Image, Tensor | None, Tensor | None, Tensor, tuple[str, ...], Mapping[str, Any]]:
        """The picture, features or pixels of it, boxes with names, and what is known about it."""
        picture = picture_of(conversation)
        regions = in_square(picture, regions_of(conversation), self.preparation)
        given = SlotInputs(Image, self.prepare, self.cache)(picture)
        names = tuple(region.name for region in regions)
        return picture, given.features, given.prepared, boxes_of(regions), names, conversation.annotations


def in_square(picture: Image, regions: Sequence[Region], preparation: ImagePreparation) -> list[Region]:
    """Regions, from any frame of a picture, in the square that the encoder sees, cut off at its edges; without those cropped away.

    Raises:
        DataError: The picture cannot be read.
        Refusal: Nothing is left of any.
    """
    frame = picture.frame
    move = preparation.transform(round(frame.width), round(frame.height))
    found = [seen for region in regions if not (seen := move(region).clip()).is_degenerate]
    if not found:
        raise Refusal("no boxes", f"{picture}: the encoder crops away everything that has a box")
    return found


def boxes_of(regions: Sequence[Region]) -> Tensor:
    """`[K, 4]` as shares of their frame: left, top, right, bottom."""
    return torch.tensor([region.normalised for region in regions]).reshape(-1, 4)
