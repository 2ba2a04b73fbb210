"""The warm-up without the language model: phrases must be found at positions, and what is empty says nothing."""

from __future__ import annotations

import math

import pytest
import torch
from torch.nn import functional

from triptych.families.composed.objectives import PhraseAlignment
from triptych.families.composed.phrase_alignment import contrast


def unit(*rows: list[float]) -> torch.Tensor:
    return functional.normalize(torch.tensor(rows), dim=-1)


def test_each_direction_is_the_published_contrast() -> None:
    """One position a picture and one phrase each: the symmetric cross-entropy of CLIP, computed by PyTorch itself."""
    torch.manual_seed(0)
    pictures, phrases = torch.randn(5, 1, 16), torch.randn(5, 16)
    config = PhraseAlignment(temperature=0.2, pull=0.0, nothing=None)
    found = contrast(list(pictures), phrases, torch.eye(5, dtype=torch.bool), config)
    logits = functional.normalize(pictures[:, 0], dim=-1) @ functional.normalize(phrases, dim=-1).T / 0.2
    truth = torch.arange(5)
    expected = functional.cross_entropy(logits, truth) + functional.cross_entropy(logits.T, truth)
    assert found.item() == pytest.approx(expected.item(), rel=1e-5)


def test_own_phrases_do_not_compete_with_each_other() -> None:
    phrases = unit([1.0, 0, 0], [0, 1.0, 0], [0, 0, 1.0])
    picture = unit([1.0, 0, 0], [0, 1.0, 0])
    other = unit([0, 0, 1.0], [0, 0, 1.0])
    config = PhraseAlignment(temperature=0.05, pull=0.0, nothing=None)
    positive = torch.tensor([[True, True, False], [False, False, True]])
    assert contrast([picture, other], phrases, positive, config).item() < 1e-6


def test_an_empty_position_must_say_nothing() -> None:
    phrases = unit([1.0, 0, 0], [0, 1.0, 0], [0, 0, 1.0])  # dog, cat, nothing
    positive = torch.tensor([[True, False], [False, True]])
    config = PhraseAlignment(temperature=0.1, pull=1.0)
    quiet = [unit([1.0, 0, 0], [0, 0, 1.0]), unit([0, 1.0, 0], [0, 0, 1.0])]
    talking = [unit([1.0, 0, 0], [0, 1.0, 0]), unit([0, 1.0, 0], [1.0, 0, 0])]
    assert contrast(quiet, phrases, positive, config) < contrast(talking, phrases, positive, config) - 1


def test_gradients_are_those_of_finite_differences() -> None:
    torch.manual_seed(1)
    phrases = torch.randn(4, 6, dtype=torch.float64)
    positive = torch.tensor([[True, False, True], [False, True, False]])
    pictures = torch.randn(2, 3, 6, requires_grad=True)
    config = PhraseAlignment(temperature=0.5)
    loss = contrast(list(pictures), phrases.float(), positive, config)
    (gradient,) = torch.autograd.grad(loss, pictures)
    step = torch.zeros_like(pictures)
    step[1, 2, 3] = 1e-2
    with torch.no_grad():
        up = contrast(list(pictures + step), phrases.float(), positive, config)
        down = contrast(list(pictures - step), phrases.float(), positive, config)
    assert gradient[1, 2, 3].item() == pytest.approx(((up - down) / 2e-2).item(), rel=2e-2, abs=1e-4)


def test_the_loss_of_chance_is_the_logarithm_of_the_choices() -> None:
    """Positions that look like every phrase alike leave the choice among all phrases, and among all pictures."""
    phrases = torch.eye(4)
    pictures = [torch.ones(3, 4) for _ in range(4)]
    config = PhraseAlignment(pull=0.0, nothing=None)
    loss = contrast(pictures, phrases, torch.eye(4, dtype=torch.bool), config)
    assert loss.item() == pytest.approx(2 * math.log(4), rel=1e-4)
