"""The cache with room behaves as transformers' own, whatever is appended, kept or repeated."""

from __future__ import annotations

import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from transformers import DynamicCache, LlamaConfig, MistralConfig

from triptych.language.cache import ROOM, RoomyLayer, divisible, joined, roomy_cache, rows_of

CONFIG = LlamaConfig(num_hidden_layers=2, hidden_size=8, num_attention_heads=2, num_key_value_heads=1)


@settings(max_examples=30, deadline=None)
@given(
    st.lists(
        st.one_of(st.integers(1, ROOM + 20), st.lists(st.integers(0, 1), min_size=1, max_size=3).map(tuple)), max_size=8
    )
)
def test_holds_what_transformers_cache_holds(actions: list[int | tuple[int, ...]]) -> None:
    mine, reference = roomy_cache(CONFIG), DynamicCache(config=CONFIG)
    rows = 2
    for number, action in enumerate(actions):
        if isinstance(action, tuple):
            index = torch.tensor([i % rows for i in action])
            mine.batch_select_indices(index)
            reference.batch_select_indices(index)
            rows = len(index) if reference.get_seq_length() else rows
            continue
        for layer in range(2):
            keys, values = torch.randn(2, rows, 1, action, 4, generator=torch.Generator().manual_seed(number))
            for a, b in zip(mine.update(keys, values, layer), reference.update(keys, values, layer), strict=True):
                assert torch.equal(a, b)
        assert mine.get_seq_length() == reference.get_seq_length()
        assert mine.get_mask_sizes(1, 0) == reference.get_mask_sizes(1, 0)


def test_a_token_is_written_into_its_place() -> None:
    cache = roomy_cache(CONFIG)
    first, _ = cache.update(torch.randn(1, 1, 5, 4), torch.randn(1, 1, 5, 4), 0)
    second, _ = cache.update(torch.randn(1, 1, 1, 4), torch.randn(1, 1, 1, 4), 0)
    assert second.data_ptr() == first.data_ptr()


def test_rows_are_taken_apart_and_joined_aligned_at_their_ends() -> None:
    keys, values = torch.randn(2, 3, 1, 5, 4)
    cache = roomy_cache(CONFIG)
    for layer in range(2):
        cache.update(keys, values, layer)
    top, bottom = rows_of(cache, 0, 1), rows_of(cache, 1, 3)
    more = torch.randn(1, 1, 2, 4)
    for layer in range(2):
        top.update(more, more, layer)
    assert cache.get_seq_length() == bottom.get_seq_length() == 5
    whole = joined([top, bottom])
    assert whole.get_seq_length() == top.get_seq_length() == 7
    for layer in whole.layers:
        assert torch.equal(layer.keys[:1], torch.cat([keys[:1], more], dim=2))
        assert torch.equal(layer.keys[1:, :, 2:], keys[1:])
        assert not layer.keys[1:, :, :2].any()


def test_layers_that_see_a_window_stay_as_they_are() -> None:
    cache = roomy_cache(MistralConfig(num_hidden_layers=2, sliding_window=4))
    assert cache.layers
    assert not any(isinstance(layer, RoomyLayer) for layer in cache.layers)
    assert not divisible(cache)
