"""What the decoders of regions are taught by.

Masks: binary cross-entropy and Dice as LISA computes them (Lai et al., 2024, `model/LISA.py`); boxes: L1 and generalised
IoU as in DETR (Carion et al., 2020). All return one number per region, in float32: summing and dividing is the objective's.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

from triptych.decoders.geometry import corners, generalised_iou

DICE_SCALE, DICE_EPS = 1000.0, 1e-6


def mask_cross_entropy(logits_KHW: Tensor, targets_KHW: Tensor) -> Tensor:
    """Binary cross-entropy `[K]` of masks, the mean over pixels."""
    loss = functional.binary_cross_entropy_with_logits(
        logits_KHW.float(), targets_KHW.float().expand_as(logits_KHW), reduction="none"
    )
    return loss.flatten(1).mean(dim=1)


def dice(logits_KHW: Tensor, targets_KHW: Tensor) -> Tensor:
    """One minus the Dice coefficient `[K]` of soft masks with their targets."""
    chances, targets = logits_KHW.float().sigmoid().flatten(1), targets_KHW.float().flatten(1)
    common = 2 * (chances / DICE_SCALE * targets).sum(dim=1)
    both = (chances / DICE_SCALE).sum(dim=1) + (targets / DICE_SCALE).sum(dim=1)
    return 1 - (common + DICE_EPS) / (both + DICE_EPS)


def quality(expected_K: Tensor, logits_KHW: Tensor, targets_KHW: Tensor) -> Tensor:
    """Squared error `[K]` of the expected IoU (SAM), against that of the mask as it is."""
    with torch.no_grad():
        found, wanted = (logits_KHW > 0).flatten(1), (targets_KHW > 0.5).flatten(1)
        common, all_ = (found & wanted).sum(dim=1), (found | wanted).sum(dim=1)
        iou = common / all_.clamp(min=1)
    return (expected_K.float() - iou) ** 2


def box_l1(boxes_K4: Tensor, targets_K4: Tensor) -> Tensor:
    """Sum `[K]` of the absolute differences of centre, width and height."""
    return (boxes_K4.float() - targets_K4.float()).abs().sum(dim=1)


def box_giou(boxes_K4: Tensor, targets_K4: Tensor) -> Tensor:
    """One minus the generalised IoU `[K]` of boxes given by centre and size."""
    return 1 - generalised_iou(corners(boxes_K4.float()), corners(targets_K4.float()))
