"""Cells behind the words for their places."""

from __future__ import annotations

import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from triptych.adapters.build import build
from triptych.adapters.config import MLPConfig
from triptych.adapters.markers import interleave, place_words


def words_as_vectors(text: str) -> torch.Tensor:
    """A token per word; a vector of its letters."""
    return torch.stack([torch.full((8,), float(sum(map(ord, word)))) for word in text.split()])


def test_the_nine_places_have_their_words() -> None:
    assert place_words(3, 3) == [
        "top left", "top", "top right", "left", "center", "right", "bottom left", "bottom", "bottom right",
    ]  # fmt: skip


@settings(deadline=None)
@given(st.integers(1, 6), st.integers(1, 6), st.integers(1, 3))
def test_the_announced_length_is_the_real_one(rows: int, columns: int, pool: int) -> None:
    config = MLPConfig(markers="places", pool=pool, reduction="average" if pool > 1 else "none")
    adapter = build(config, 4, (rows, columns), 8, 0.1, words_as_vectors)
    out = adapter(torch.randn(2, rows * columns, 4))
    assert out.shape == (2, adapter.output_tokens(rows * columns), 8)


def test_each_cell_stands_behind_its_words_and_is_what_it_is_without_markers() -> None:
    torch.manual_seed(0)
    marked = build(MLPConfig(markers="places"), 4, (3, 3), 8, 0.1, words_as_vectors)
    features = torch.randn(1, 9, 4)
    out = marked(features)[0]
    torch.testing.assert_close(out[:2], words_as_vectors("top left"))
    torch.testing.assert_close(out[2], marked.content(features)[0, 0])
    torch.testing.assert_close(out[3:4], words_as_vectors("top"))
    torch.testing.assert_close(out[-3:-1], words_as_vectors("bottom right"))
    torch.testing.assert_close(out[-1], marked.content(features)[0, 8])


def test_markers_learn() -> None:
    marked = build(MLPConfig(markers="places"), 4, (2, 2), 8, 0.1, words_as_vectors)
    marked(torch.randn(1, 4, 4)).sum().backward()
    gradient = dict(marked.named_parameters())["markers"].grad
    assert gradient is not None
    assert gradient.abs().min() > 0


@given(st.lists(st.integers(0, 4), min_size=1, max_size=9))
def test_interleaving_is_a_permutation_that_keeps_both_orders(lengths: list[int]) -> None:
    order = interleave(lengths)
    total = sum(lengths)
    assert sorted(order) == list(range(total + len(lengths)))
    assert [i for i in order if i < total] == list(range(total))
    assert [i for i in order if i >= total] == list(range(total, total + len(lengths)))


def test_a_normalised_output_keeps_the_spread_of_embeddings() -> None:
    adapter = build(MLPConfig(output_scale="normalised", hidden=32), 16, (3, 3), 64, 0.125)
    out = adapter(torch.randn(4, 9, 16) * 50)
    spread = out.pow(2).mean(-1).sqrt()
    torch.testing.assert_close(spread, torch.full_like(spread, 0.125), rtol=1e-3, atol=0)
