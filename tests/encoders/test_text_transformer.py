"""Our own text transformer: what a token sees, where a text is pooled, and that padding changes nothing."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from encoders.tiny_towers import text_shape, text_tower
from triptych.encoders.text_transformer import TextTower
from triptych.errors import RecipeError

IDS = torch.tensor([[3, 29, 4, 5, 6, 7, 8], [9, 28, 10, 11, 0, 0, 0], [12, 13, 0, 0, 0, 0, 0]])
LENGTHS = torch.tensor([7, 4, 2])


@pytest.mark.parametrize("name", ["clip-b32", "siglip-b16"])
@pytest.mark.parametrize("bidirectional", [False, True])
def test_padding_changes_nothing(name: str, bidirectional: bool) -> None:
    options = {"attention": "bidirectional"} if bidirectional else {}
    tower = text_tower(name, **options)
    together = tower(IDS, LENGTHS)
    for row, length, found in zip(IDS, LENGTHS, together, strict=True):
        torch.testing.assert_close(tower(row[None, :length])[0], found, atol=1e-6, rtol=1e-5)
    other = IDS.masked_fill(torch.arange(7) >= LENGTHS[:, None], 27)
    torch.testing.assert_close(tower(other, LENGTHS), together, atol=1e-6, rtol=1e-5)


def test_clip_pools_at_the_end_and_not_at_the_highest_id() -> None:
    tower = text_tower("clip-b32")
    assert tower.projection is not None
    states = tower.states(IDS, LENGTHS)
    torch.testing.assert_close(tower(IDS, LENGTHS), tower.projection(states[torch.arange(3), LENGTHS - 1]))
    old = text_tower("clip-b32", pooling="highest")
    torch.testing.assert_close(old(IDS, LENGTHS), tower.projection(states[torch.arange(3), IDS.argmax(dim=1)]))
    assert not torch.allclose(old(IDS, LENGTHS), tower(IDS, LENGTHS))


def test_siglip_pools_at_the_last_position_of_all() -> None:
    tower = text_tower("siglip-b16")
    assert tower.projection is not None
    states = tower.states(IDS, LENGTHS)
    assert states.shape == (3, 8, 16)
    torch.testing.assert_close(tower(IDS, LENGTHS), tower.projection(states[:, -1]))


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 6), st.integers(0, 29))
def test_causal_tokens_do_not_see_what_follows(place: int, word: int) -> None:
    tower = text_tower("clip-b32")
    changed = IDS.clone()
    changed[:, place] = word
    before, after = tower.states(IDS), tower.states(changed)
    torch.testing.assert_close(after[:, :place], before[:, :place], rtol=0, atol=0)


def test_bidirectional_tokens_do() -> None:
    changed = IDS.clone()
    changed[:, 6] = 1
    tower = text_tower("clip-b32", attention="bidirectional")
    assert not torch.allclose(tower.states(changed)[:, 0], tower.states(IDS)[:, 0])


def test_everything_learns() -> None:
    for name in ("clip-b32", "siglip-b16"):
        tower = text_tower(name, max_tokens=7).train()
        tower(IDS, LENGTHS).square().sum().backward()
        assert [n for n, p in tower.named_parameters() if p.grad is None or not p.grad.any()] == []


def test_texts_that_do_not_fit() -> None:
    tower = text_tower("clip-b32")
    with pytest.raises(ValueError, match="texts of 9 tokens are longer than the 8 positions"):
        tower(torch.zeros(1, 9, dtype=torch.long))
    with pytest.raises(ValueError, match="lengths must be 1 to 7"):
        tower(IDS, torch.tensor([7, 0, 2]))


def test_the_vocabulary_is_the_tokenizers_where_the_architecture_has_none() -> None:
    shape = text_shape("clip-b32", vocabulary=None)
    assert TextTower(shape, 8, vocabulary=55).words.num_embeddings == 55
    with pytest.raises(RecipeError, match="vocabulary"):
        TextTower(shape, 8)
