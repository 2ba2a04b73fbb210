"""Losses of boxes and masks, held against the formulas as others wrote them, and against finite differences."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor
from torch.nn import functional
from transformers.loss.loss_for_object_detection import box_iou, center_to_corners_format, generalized_box_iou

from triptych.decoders import losses
from triptych.decoders.geometry import centre_size, corners, generalised_iou


def boxes(count: int, seed: int = 0) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.rand(count, 4, generator=generator) * torch.tensor([1.0, 1.0, 0.5, 0.5])


def test_generalised_iou_equals_that_of_transformers() -> None:
    first, second = corners(boxes(200)), corners(boxes(200, 1))
    expected = generalized_box_iou(first, second).diagonal()
    torch.testing.assert_close(generalised_iou(first, second), expected, rtol=0, atol=1e-6)
    exact = boxes(200)[:, 2:].prod(dim=1)
    torch.testing.assert_close(generalised_iou(first, second, exact), expected, rtol=0, atol=1e-6)
    assert box_iou(first, second)[0].diagonal().gt(0).any()
    assert expected.lt(0).any()


def test_corners_equal_those_of_transformers_and_lead_back() -> None:
    given = boxes(50)
    torch.testing.assert_close(corners(given), center_to_corners_format(given))
    torch.testing.assert_close(centre_size(corners(given)), given)


def test_boxes_without_area_have_a_finite_loss() -> None:
    empty = torch.tensor([[0.5, 0.5, 0.0, 0.0]], requires_grad=True)
    loss = losses.box_giou(empty, torch.tensor([[0.5, 0.5, 0.0, 0.0]]))
    loss.sum().backward()
    assert torch.isfinite(loss).all()
    assert torch.isfinite(empty.grad).all()  # type: ignore[arg-type]


def lisa_dice(inputs: Tensor, targets: Tensor, scale: float = 1000, eps: float = 1e-6) -> Tensor:
    """`dice_loss` of LISA's model/LISA.py, before it sums over masks."""
    inputs = inputs.sigmoid().flatten(1, 2)
    targets = targets.flatten(1, 2)
    numerator = 2 * (inputs / scale * targets).sum(-1)
    denominator = (inputs / scale).sum(-1) + (targets / scale).sum(-1)
    return 1 - (numerator + eps) / (denominator + eps)


def test_mask_losses_are_those_of_lisa() -> None:
    generator = torch.Generator().manual_seed(0)
    logits = 4 * torch.randn(5, 8, 9, generator=generator)
    targets = (torch.rand(5, 8, 9, generator=generator) > 0.6).float()
    torch.testing.assert_close(losses.dice(logits, targets), lisa_dice(logits, targets))
    expected = functional.binary_cross_entropy_with_logits(logits, targets, reduction="none").flatten(1, 2).mean(1)
    torch.testing.assert_close(losses.mask_cross_entropy(logits, targets), expected)


def test_a_right_mask_has_no_dice_loss_and_a_wrong_one_all_of_it() -> None:
    target = torch.zeros(1, 4, 4)
    target[:, :2] = 1
    sure = 200 * (target - 0.5)
    assert losses.dice(sure, target).item() == pytest.approx(0, abs=1e-3)
    assert losses.dice(-sure, target).item() == pytest.approx(1, abs=1e-3)


def test_the_expected_quality_is_taught_by_the_iou_of_the_mask() -> None:
    target = torch.zeros(1, 4, 4)
    target[:, :2] = 1
    logits = torch.full((1, 4, 4), -1.0)
    logits[:, 1:3] = 1.0  # one of three rows is common
    assert losses.quality(torch.tensor([1 / 3]), logits, target).item() == pytest.approx(0, abs=1e-9)
    assert losses.quality(torch.tensor([1.0]), logits, target).item() == pytest.approx(4 / 9)


def test_gradients_equal_finite_differences() -> None:
    """In float64; the losses compute in float32 of what they are given, so the check widens their `float`."""
    target = corners(boxes(6, 3).double())
    given = corners(boxes(6, 4).double()).requires_grad_(True)
    assert torch.autograd.gradcheck(lambda x: generalised_iou(x, target), (given,))
    generator = torch.Generator().manual_seed(2)
    mask = (torch.rand(3, 4, 5, generator=generator) > 0.5).float()
    logits = torch.randn(3, 4, 5, generator=generator)
    for loss in (losses.dice, losses.mask_cross_entropy):
        x = logits.clone().requires_grad_(True)
        loss(x, mask).sum().backward()
        step = 1e-2
        for place in ((0, 0, 0), (1, 2, 3), (2, 3, 4)):
            more, less = logits.clone(), logits.clone()
            more[place] += step
            less[place] -= step
            slope = (loss(more, mask).double() - loss(less, mask).double()).sum() / (2 * step)
            assert x.grad is not None
            assert x.grad[place].item() == pytest.approx(slope.item(), abs=2e-4)
