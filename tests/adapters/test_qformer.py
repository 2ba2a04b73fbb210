"""The querying transformer: who sees whom."""

from __future__ import annotations

import pytest
import torch

from triptych.adapters.qformer import QFormer


@pytest.fixture
def qformer() -> QFormer:
    torch.manual_seed(0)
    return QFormer(
        width=16, layers=3, heads=2, intermediate=24, cross_every=2, feature_dim=12, vocabulary=40, text_positions=8
    ).eval()


@pytest.fixture
def reading() -> dict[str, torch.Tensor]:
    torch.manual_seed(1)
    return {
        "queries": torch.randn(2, 5, 16),
        "features": torch.randn(2, 9, 12),
        "ids": torch.tensor([[1, 2, 3, 4, 5, 6], [7, 8, 9, 0, 0, 0]]),
    }


@torch.no_grad()
def test_queries_that_read_alone_do_not_depend_on_text(qformer: QFormer, reading: dict[str, torch.Tensor]) -> None:
    """What image–text contrast needs: the picture's side and the text's side know nothing of each other."""
    alone = qformer(reading["queries"], reading["features"])
    causal = qformer(**reading, causal=True)
    both = qformer(**reading)
    torch.testing.assert_close(causal.queries, alone.queries)
    assert (both.queries - alone.queries).abs().max() > 1e-3
    text = qformer(ids=reading["ids"])
    assert text.text.shape == (2, 6, 16) and text.queries.shape == (2, 0, 16)
    assert alone.text.shape == (2, 0, 16)
    assert (both.text - text.text).abs().max() > 1e-3


@torch.no_grad()
def test_a_later_word_never_changes_an_earlier_one_when_text_is_written(
    qformer: QFormer, reading: dict[str, torch.Tensor]
) -> None:
    changed = reading["ids"].clone()
    changed[:, 4] = 30
    for cache in (None, qformer(reading["queries"], reading["features"]).cache):
        given = reading if cache is None else {}
        one = qformer(**(given | {"ids": reading["ids"]}), causal=True, cache=cache).text
        other = qformer(**(given | {"ids": changed}), causal=True, cache=cache).text
        torch.testing.assert_close(one[:, :4], other[:, :4])
        assert (one[:, 4:] - other[:, 4:]).abs().amin(0).amax() > 1e-3
    both = qformer(**(reading | {"ids": changed})).text - qformer(**reading).text
    assert both[:, 0].abs().max() > 1e-4  # without `causal` it does


@torch.no_grad()
def test_text_over_cached_queries_is_text_behind_queries(qformer: QFormer, reading: dict[str, torch.Tensor]) -> None:
    alone = qformer(reading["queries"], reading["features"])
    mask = reading["ids"] > 0
    cached = qformer(ids=reading["ids"], text_mask=mask, causal=True, cache=alone.cache).text
    torch.testing.assert_close(cached, qformer(**reading, text_mask=mask, causal=True).text)
    assert (cached - qformer(ids=reading["ids"], text_mask=mask, causal=True).text).abs().max() > 1e-3


@torch.no_grad()
def test_what_is_masked_is_not_read(qformer: QFormer, reading: dict[str, torch.Tensor]) -> None:
    mask = reading["ids"] > 0
    row = {name: tensor[1:] for name, tensor in reading.items()}
    short = qformer(**(row | {"ids": row["ids"][:, :3]}))
    for causal in (False, True):
        long = qformer(**reading, text_mask=mask, causal=causal)
        short = qformer(**(row | {"ids": row["ids"][:, :3]}), causal=causal)
        torch.testing.assert_close(long.queries[1], short.queries[0])
        torch.testing.assert_close(long.text[1, :3], short.text[0])
    shown = torch.arange(9) < torch.tensor([[9], [4]])
    fewer = qformer(row["queries"], row["features"][:, :4]).queries[0]
    hidden = qformer(reading["queries"], reading["features"], feature_mask=shown).queries[1]
    torch.testing.assert_close(hidden, fewer)


def test_every_second_layer_looks_at_the_features(qformer: QFormer) -> None:
    assert [layer.cross is not None for layer in qformer.layers] == [True, False, True]


def test_what_cannot_be_read_is_refused(qformer: QFormer, reading: dict[str, torch.Tensor]) -> None:
    plain = QFormer(width=16, layers=1, heads=2, intermediate=24, cross_every=1, feature_dim=12)
    with pytest.raises(ValueError, match="without its text side"):
        plain(**reading)
    with pytest.raises(ValueError, match="queries need features"):
        qformer(reading["queries"])
    with pytest.raises(ValueError, match="nothing to read"):
        qformer(features=reading["features"])
    with pytest.raises(ValueError, match="9 tokens is longer than the 8"):
        qformer(ids=torch.ones(1, 9, dtype=torch.long))


def test_dropout_is_for_training_alone(reading: dict[str, torch.Tensor]) -> None:
    torch.manual_seed(0)
    qformer = QFormer(width=16, layers=1, heads=2, intermediate=24, cross_every=1, feature_dim=12, dropout=0.5)
    given = reading["queries"], reading["features"]
    assert not torch.equal(qformer(*given).queries, qformer(*given).queries)
    qformer.eval()
    assert torch.equal(qformer(*given).queries, qformer(*given).queries)
