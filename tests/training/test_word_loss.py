"""Cross-entropy over many words in pieces: PyTorch's value and gradient."""

from __future__ import annotations

import pytest
import torch
from torch.nn import functional

from triptych.training.objectives.word_loss import ROWS, word_loss


@pytest.mark.parametrize("smoothing", [0.0, 0.1])
@pytest.mark.parametrize("rows", [1, ROWS, 2 * ROWS + 3])
def test_value_and_gradient_are_pytorchs(rows: int, smoothing: float) -> None:
    torch.manual_seed(0)
    parts = [torch.randn(*shape, dtype=torch.double, requires_grad=True) for shape in ((rows, 5), (23, 5), (23,))]
    targets = torch.randint(0, 23, (rows,))
    expected = functional.cross_entropy(functional.linear(*parts), targets, reduction="sum", label_smoothing=smoothing)
    found = word_loss(*parts, targets, smoothing)
    torch.testing.assert_close(found, expected)
    ours = torch.autograd.grad(3 * found, parts)
    theirs = torch.autograd.grad(3 * expected, parts)
    for mine, other in zip(ours, theirs, strict=True):
        torch.testing.assert_close(mine, other)


def test_in_bfloat16_it_is_as_near_as_rounding_lets_it_be() -> None:
    torch.manual_seed(0)
    parts = [torch.randn(*shape).bfloat16().requires_grad_() for shape in ((70, 16), (300, 16), (300,))]
    targets = torch.randint(0, 300, (70,))
    found = word_loss(*parts, targets, 0.1)
    full = [part.detach().float().requires_grad_() for part in parts]
    expected = functional.cross_entropy(functional.linear(*full), targets, reduction="sum", label_smoothing=0.1)
    assert found.dtype == torch.float32
    assert found.item() == pytest.approx(expected.item(), rel=1e-2)
    for mine, other in zip(torch.autograd.grad(found, parts), torch.autograd.grad(expected, full), strict=True):
        assert (mine.float() - other).norm() < 2e-2 * other.norm()


def test_nothing_is_kept_where_there_is_no_gradient() -> None:
    with torch.no_grad():
        loss = word_loss(torch.randn(3, 4), torch.randn(9, 4), torch.zeros(9), torch.tensor([1, 2, 3]))
    assert not loss.requires_grad
