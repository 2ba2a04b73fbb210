"""Packing: every layout once, no row too long, positions restart, nothing lost when rows are taken out."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from triptych.conversation import Image
from triptych.sequence.pack import Batch, Input, pack
from triptych.sequence.plan import IGNORE, Layout, Span

ROW = 24
PAD = 9


@st.composite
def layouts(draw: st.DrawFn) -> list[Layout]:
    """Layouts of unequal length whose media are shared between some of them."""
    media = [Image(b"", key=str(i)) for i in range(4)]
    made = []
    for number in range(draw(st.integers(1, 8))):
        length = draw(st.integers(1, ROW))
        ids = [draw(st.integers(10, 99)) for _ in range(length)]
        labels = [token if draw(st.booleans()) else IGNORE for token in ids]
        spans, place = [], 0
        while place < length and draw(st.booleans()):
            size = draw(st.integers(1, min(4, length - place)))
            spans.append(Span(place, size, draw(st.sampled_from(media))))
            place += size + draw(st.integers(0, 3))
        made.append(Layout(tuple(ids), tuple(labels), tuple(spans), id=str(number)))
    return made


def documents(batch: Batch) -> dict[str, tuple[object, ...]]:
    """What each document of a batch is made of, found by looking at the tensors alone."""
    found = {}
    for number, document in enumerate(batch.conversations):
        inside = batch.documents == number
        rows, columns = inside.nonzero(as_tuple=True)
        assert set(rows.tolist()) == {document.row}
        start, end = int(columns.min()), int(columns.max()) + 1
        assert end - start == len(columns)  # in one piece
        spans = [
            (place.start - start, place.length, batch.media[place.medium].key)
            for place in batch.placements
            if place.row == document.row and start <= place.start < end
        ]
        assert [batch.media[i].key for i in document.media] == [key for _, _, key in spans]
        found[document.id] = (
            batch.ids[inside].tolist(),
            batch.targets[inside].tolist(),
            batch.positions[inside].tolist(),
            spans,
        )
    return found


def expected(made: list[Layout]) -> dict[str, tuple[object, ...]]:
    return {
        layout.id: (
            list(layout.ids),
            [*layout.labels[1:], IGNORE],
            list(range(len(layout))),
            [(span.start, span.length, span.medium.key) for span in layout.spans],
        )
        for layout in made
    }


@settings(max_examples=100, deadline=None)
@given(layouts())
def test_packing_keeps_every_layout_whole_and_apart(made: list[Layout]) -> None:
    batch = pack(made, ROW, PAD)
    assert documents(batch) == expected(made)
    assert batch.ids.shape[1] <= ROW
    assert batch.tokens == sum(map(len, made))
    assert batch.supervised == sum(layout.supervised for layout in made)
    padding = batch.documents == -1
    assert (batch.ids[padding] == PAD).all()
    assert (batch.targets[padding] == IGNORE).all()
    assert len({medium.key for medium in batch.media}) == len(batch.media)
    # Positions start again exactly where another document, or padding, begins.
    starts = torch.ones_like(padding)
    starts[:, 1:] = batch.documents[:, 1:] != batch.documents[:, :-1]
    assert torch.equal(batch.positions == 0, starts)


@settings(max_examples=100, deadline=None)
@given(layouts(), st.integers(1, 4))
def test_splitting_loses_nothing(made: list[Layout], rows: int) -> None:
    whole = pack(made, ROW, PAD)
    numbers = [torch.full((2, 3), float(i)) for i in range(len(whole.media))]
    whole = replace(whole, inputs={"image": tuple(map(Input, numbers))})
    parts = whole.split(rows)
    joined: dict[str, tuple[object, ...]] = {}
    for part in parts:
        assert len(part.ids) <= rows
        assert (part.documents >= 0).any(dim=0).all()  # no column that nobody needs
        assert len(part.media) == len(part.inputs["image"])
        for medium, given_ in zip(part.media, part.inputs["image"], strict=True):
            assert given_ is not None and given_.features is numbers[whole.media.index(medium)]
        assert set(range(len(part.media))) == {place.medium for place in part.placements}
        joined |= documents(part)
    assert joined == expected(made)
    assert sum(part.supervised for part in parts) == whole.supervised
    assert sum(part.tokens for part in parts) == whole.tokens


def test_rows_are_filled_before_new_ones_are_begun() -> None:
    made = [Layout((1,) * n, (1,) * n, (), id=str(i)) for i, n in enumerate([10, 14, 12, 12, 24, 6, 18])]
    assert pack(made, ROW).ids.shape == (4, ROW)


def test_a_layout_longer_than_a_row_is_an_error() -> None:
    with pytest.raises(ValueError, match="a/7 has 25 tokens, more than a row's 24"):
        pack([Layout((1,) * 25, (1,) * 25, (), id="a/7")], ROW)
