"""Packing: layouts side by side in rows of at most L tokens, without seeing each other."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import torch
from torch import Tensor

from triptych.conversation import Image, Medium, Region
from triptych.sequence.plan import IGNORE, Layout


@dataclass(frozen=True)
class Placement:
    """Where a medium goes.

    Args:
        row: Of the batch.
        start: The first of its positions in the row.
        length: How many positions, none where the fusion needs none.
        medium: Which of the batch's media it is; or which of the features, when they are put in place.
        document: Number of the document that it is in.
        position: The first of its positions in the document.
        text: Of the message in which it stands.
    """

    row: int
    start: int
    length: int
    medium: int
    document: int = 0
    position: int = 0
    text: str = ""


@dataclass(frozen=True)
class Document:
    """A conversation in a batch: its row, its id, its facts, which of the batch's media it holds, and its dataset."""

    row: int
    id: str
    annotations: Mapping[str, Any]
    media: tuple[int, ...]
    dataset: str = ""


@dataclass(frozen=True)
class Pointing:
    """A token that stands for a region.

    Args:
        row: Of the batch.
        position: Of the token in the row.
        medium: Which of the batch's media the region is in: the one shown last before it.
        region: In the frame of that picture.
    """

    row: int
    position: int
    medium: int
    region: Region


@dataclass(frozen=True)
class Input:
    """What a batch holds of a medium for the encoder of one slot: its features, or what the encoder still has to see.

    Args:
        features: `[T, D_enc]`, where the encoder ran before.
        prepared: The encoder's input, where it did not.
    """

    features: Tensor | None = None
    prepared: Tensor | None = None


@dataclass(frozen=True)
class Batch:
    """Packed rows.

    Args:
        ids: `[R, L]` token ids.
        targets: `[R, L]` the id to predict *at* each position (the next token's label), `IGNORE` elsewhere.
        positions: `[R, L]` place within the document, from zero.
        documents: `[R, L]` number of the document within the batch, -1 for padding.
        placements: Where the media go.
        media: The distinct media of the batch.
        conversations: What the documents are, by number.
        inputs: For each slot of the model, the inputs of its encoder: one per medium, None where the slot takes no such
            medium.
        regions: The tokens that stand for regions, where regions are not text.
    """

    ids: Tensor
    targets: Tensor
    positions: Tensor
    documents: Tensor
    placements: tuple[Placement, ...]
    media: tuple[Medium, ...]
    conversations: tuple[Document, ...]
    inputs: Mapping[str, tuple[Input | None, ...]] = field(default_factory=dict)
    regions: tuple[Pointing, ...] = ()

    @property
    def packed(self) -> bool:
        """Whether a row holds several documents."""
        return len({document.row for document in self.conversations}) < len(self.conversations)

    @property
    def supervised(self) -> int:
        """Number of supervised tokens."""
        return int((self.targets != IGNORE).sum())

    @property
    def tokens(self) -> int:
        """Number of tokens without padding."""
        return int((self.documents >= 0).sum())

    def with_prepared(self, slot: str, prepared: Sequence[Tensor]) -> Batch:
        """The batch with the inputs that a slot's encoder still has to see, one per medium."""
        return replace(self, inputs={**self.inputs, slot: tuple(Input(prepared=each) for each in prepared)})

    def rows(self, keep: Sequence[int]) -> Batch:
        """Some of the rows as a batch of their own, without the padding that they do not need."""
        new_row = {row: i for i, row in enumerate(keep)}
        index = torch.as_tensor(list(keep))
        used = (self.documents[index] >= 0).any(dim=0).nonzero()
        length = int(used.max()) + 1 if len(used) else 0
        kept = [document for document in self.conversations if document.row in new_row]
        media = list(dict.fromkeys(medium for document in kept for medium in document.media))
        new_medium = {medium: i for i, medium in enumerate(media)}
        number = {id(document): i for i, document in enumerate(kept)}
        numbers = [number.get(id(document), -1) for document in self.conversations]
        renumber = torch.tensor([*numbers, -1])
        return Batch(
            ids=self.ids[index, :length],
            targets=self.targets[index, :length],
            positions=self.positions[index, :length],
            documents=renumber[self.documents[index, :length]],
            placements=tuple(
                replace(
                    place, row=new_row[place.row], medium=new_medium[place.medium], document=numbers[place.document]
                )
                for place in self.placements
                if place.row in new_row
            ),
            media=tuple(self.media[i] for i in media),
            conversations=tuple(
                replace(document, row=new_row[document.row], media=tuple(new_medium[m] for m in document.media))
                for document in kept
            ),
            inputs={slot: tuple(inputs[i] for i in media) for slot, inputs in self.inputs.items()},
            regions=tuple(
                replace(pointing, row=new_row[pointing.row], medium=new_medium[pointing.medium])
                for pointing in self.regions
                if pointing.row in new_row
            ),
        )

    def split(self, rows: int) -> list[Batch]:
        """Micro-batches of at most `rows` rows."""
        return [self.rows(range(i, min(i + rows, len(self.ids)))) for i in range(0, len(self.ids), rows)]


def pack(
    layouts: Iterable[Layout],
    row_tokens: int,
    pad: int = 0,
    apart: Callable[[Layout], object] | None = None,
    alone: bool = False,
) -> Batch:
    """Pack layouts into rows: first fit, longest first; a row is no longer than it has to be.

    Args:
        layouts: The documents; none longer than `row_tokens`.
        row_tokens: The longest row.
        pad: The id written behind the last document of a row.
        apart: Layouts of which it says different things never share a row.
        alone: Every row holds one layout: for language models that cannot keep several apart.
    """
    layouts = list(layouts)
    rows: list[list[Layout]] = []
    kinds: list[object] = []
    room: list[int] = []
    for layout in sorted(layouts, key=len, reverse=True):
        if len(layout) > row_tokens:
            raise ValueError(f"{layout.id or 'a layout'} has {len(layout)} tokens, more than a row's {row_tokens}")
        kind = apart(layout) if apart is not None else None
        fits = (i for i, free in enumerate(room) if free >= len(layout) and kinds[i] == kind)
        place = None if alone else next(fits, None)
        if place is None:
            rows.append([])
            kinds.append(kind)
            room.append(row_tokens)
            place = len(rows) - 1
        rows[place].append(layout)
        room[place] -= len(layout)
    length = max((sum(map(len, row)) for row in rows), default=0)
    shape = (len(rows), length)
    ids, targets = torch.full(shape, pad), torch.full(shape, IGNORE)
    positions, numbers = torch.zeros(shape, dtype=torch.long), torch.full(shape, -1)
    placements: list[Placement] = []
    documents: list[Document] = []
    pointings: list[Pointing] = []
    media: dict[tuple[str, str], int] = {}
    kept: list[Medium] = []
    for r, row in enumerate(rows):
        start = 0
        for layout in row:
            end = start + len(layout)
            ids[r, start:end] = torch.tensor(layout.ids)
            targets[r, start : end - 1] = torch.tensor(layout.labels[1:])
            positions[r, start:end] = torch.arange(len(layout))
            numbers[r, start:end] = len(documents)
            held = []
            for span in layout.spans:
                key = span.medium.identity
                if key not in media:
                    media[key] = len(kept)
                    kept.append(span.medium)
                held.append(media[key])
                placements.append(
                    Placement(r, start + span.start, span.length, media[key], len(documents), span.start, span.text)
                )
            for position, region in layout.regions:
                # Only the picture shown last can be meant; the planner refuses regions without one.
                before = [
                    medium
                    for span, medium in zip(layout.spans, held, strict=True)
                    if span.start <= position and isinstance(span.medium, Image)
                ]
                pointings.append(Pointing(r, start + position, before[-1], region))
            documents.append(Document(r, layout.id, layout.annotations, tuple(held), layout.dataset))
            start = end
        positions[r, start:] = torch.arange(length - start)
    return Batch(
        ids, targets, positions, numbers, tuple(placements), tuple(kept), tuple(documents), regions=tuple(pointings)
    )
