"""Splicing: features take exactly the places that were planned for them."""

from __future__ import annotations

import pytest
import torch

from triptych.sequence.pack import Placement
from triptych.sequence.splice import splice


def test_features_take_their_places_and_nothing_else_moves() -> None:
    embeddings = torch.randn(2, 6, 3)
    one, two = torch.randn(2, 3), torch.randn(3, 3)
    places = [Placement(0, 1, 2, 0), Placement(1, 0, 3, 1), Placement(1, 4, 2, 0)]
    out = splice(embeddings, places, [one, two])
    expected = embeddings.clone()
    expected[0, 1:3], expected[1, 0:3], expected[1, 4:6] = one, two, one
    assert torch.equal(out, expected)


def test_gradients_flow_to_features_and_to_the_tokens_around_them() -> None:
    embeddings = torch.randn(1, 5, 2, dtype=torch.float64, requires_grad=True)
    feature = torch.randn(2, 2, dtype=torch.float64, requires_grad=True)
    places = [Placement(0, 0, 2, 0), Placement(0, 3, 2, 0)]
    assert torch.autograd.gradcheck(lambda e, f: splice(e, places, [f]).square(), (embeddings, feature))
    splice(embeddings, places, [feature]).sum().backward()
    assert feature.grad is not None
    assert embeddings.grad is not None
    assert torch.equal(feature.grad, torch.full((2, 2), 2.0, dtype=torch.float64))  # used twice
    assert embeddings.grad[0, :, 0].tolist() == [0, 0, 1, 0, 0]


@pytest.mark.parametrize(
    ("places", "features", "message"),
    [
        ([Placement(0, 1, 2, 0)], [2, 2], r"no place for \[1\]"),
        ([Placement(0, 1, 2, 1)], [2], r"no features for \[1\], no place for \[0\]"),
        ([Placement(0, 1, 2, 0)], [], r"no features for \[0\]"),
        ([], [2], r"no place for \[0\]"),
        ([Placement(0, 1, 2, 0)], [3], r"medium 0 has 3 positions, but 2 were planned.*row 0, from 1"),
        ([Placement(0, 4, 2, 0)], [2], r"4 to 6 are not all in a row of 5"),
    ],
)
def test_what_is_left_over_missing_or_of_another_length_is_an_error(
    places: list[Placement], features: list[int], message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        splice(torch.zeros(2, 5, 3), places, [torch.ones(n, 3) for n in features])


def test_without_media_nothing_changes() -> None:
    embeddings = torch.randn(2, 5, 3)
    assert splice(embeddings, [], []) is embeddings
