"""Boxes as tensors: corners or centre and size, and how well two of them agree."""

from __future__ import annotations

import torch
from torch import Tensor


def corners(boxes: Tensor) -> Tensor:
    """`(left, top, right, bottom)` of `(centre x, centre y, width, height)`, `[..., 4]`."""
    centre, size = boxes[..., :2], boxes[..., 2:]
    return torch.cat([centre - size / 2, centre + size / 2], dim=-1)


def centre_size(boxes: Tensor) -> Tensor:
    """`(centre x, centre y, width, height)` of `(left, top, right, bottom)`, `[..., 4]`."""
    first, last = boxes[..., :2], boxes[..., 2:]
    return torch.cat([(first + last) / 2, last - first], dim=-1)


def generalised_iou(first: Tensor, second: Tensor, area: Tensor | None = None) -> Tensor:
    """IoU minus the share of the smallest box around both that neither fills (Rezatofighi et al., 2019), in [-1, 1].

    Args:
        first: Boxes by their corners `[..., 4]`.
        second: Likewise, pairwise with the first. Two empty boxes have an IoU of 0.
        area: Of the first, `[...]`, where it is known more exactly than its rounded corners tell.
    """
    larger, smaller = torch.maximum(first, second), torch.minimum(first, second)
    common = _area(torch.cat([larger[..., :2], smaller[..., 2:]], dim=-1))
    union = (_area(first) if area is None else area) + _area(second) - common
    hull = _area(torch.cat([smaller[..., :2], larger[..., 2:]], dim=-1))
    return common / union.clamp(min=1e-9) - (hull - union) / hull.clamp(min=1e-9)


def _area(boxes: Tensor) -> Tensor:
    size = (boxes[..., 2:] - boxes[..., :2]).clamp(min=0)
    return size[..., 0] * size[..., 1]
