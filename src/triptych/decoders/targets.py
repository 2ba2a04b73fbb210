"""What decoders should answer: regions in the square that an encoder sees, as tensors."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from triptych.conversation import NORMALISED, Region
from triptych.encoders.preparation import ImagePreparation
from triptych.grounding.transform import Transform

SAMPLES = 3
"""A cell's share of a mask is told from so many points on each axis."""


@dataclass(frozen=True)
class Targets:
    """The truth about K regions.

    Args:
        boxes: `[K, 4]`, centre x, centre y, width, height from 0 to 1.
        masks: `[K, H, W]`, 0 or 1; all 0 where there is no mask.
        has_box: `[K]`, false where nothing of the box is left in the square.
        has_mask: `[K]`, false where the region has none.
    """

    boxes: Tensor
    masks: Tensor
    has_box: Tensor
    has_mask: Tensor


def targets(regions: Sequence[Region], preparation: ImagePreparation, size: tuple[int, int]) -> Targets:
    """Regions of pictures (in a frame of the picture's size) as the decoders should tell them.

    Args:
        regions: K of them.
        preparation: How the encoder sees the pictures.
        size: Rows and columns of masks.
    """
    boxes = [seen(region, preparation) for region in regions]
    masks = torch.zeros(len(regions), *size)
    for i, region in enumerate(regions):
        if region.mask is not None:
            masks[i] = torch.from_numpy(coverage(region, preparation, size) >= 0.5)
    return Targets(
        boxes=torch.tensor([box.to(NORMALISED).cxcywh for box in boxes]).view(len(regions), 4),
        masks=masks,
        has_box=torch.tensor([not box.is_degenerate for box in boxes], dtype=torch.bool),
        has_mask=torch.tensor([region.mask is not None for region in regions], dtype=torch.bool),
    )


def seen(region: Region, preparation: ImagePreparation) -> Region:
    """The box of a region in the square that the encoder sees, clipped to it; without its mask."""
    bare = Region(region.box, region.frame, region.name)
    return _transform(region, preparation)(bare).clip()


def coverage(region: Region, preparation: ImagePreparation, size: tuple[int, int]) -> NDArray[np.floating[Any]]:
    """How much of each cell of the square belongs to a region, `[H, W]` from 0 to 1: its mask, or its box where it has none."""
    rows, columns = size
    if region.mask is None:
        left, top, right, bottom = seen(region, preparation).to(NORMALISED).box
        return np.outer(_overlap(top, bottom, rows), _overlap(left, right, columns))
    pixels = region.mask.decode()
    back = _transform(region, preparation).inverse
    x = _points(columns, back.source.width, back.scale[0], back.offset[0]) * (pixels.shape[1] / region.frame.width)
    y = _points(rows, back.source.height, back.scale[1], back.offset[1]) * (pixels.shape[0] / region.frame.height)
    column, row = np.floor(x).astype(np.int64), np.floor(y).astype(np.int64)
    inside_x, inside_y = (column >= 0) & (column < pixels.shape[1]), (row >= 0) & (row < pixels.shape[0])
    found = pixels[np.ix_(row.clip(0, pixels.shape[0] - 1), column.clip(0, pixels.shape[1] - 1))]
    found = found & inside_y[:, None] & inside_x
    shares: NDArray[np.floating[Any]] = found.reshape(rows, SAMPLES, columns, SAMPLES).mean(
        axis=(1, 3), dtype=np.float32
    )
    return shares


def _transform(region: Region, preparation: ImagePreparation) -> Transform:
    width, height = max(1, round(region.frame.width)), max(1, round(region.frame.height))
    return preparation.transform(width, height)


def _points(cells: int, length: float, scale: float, offset: float) -> NDArray[np.floating[Any]]:
    """Where the points that a cell is told from lie in the picture, along one axis."""
    return (np.arange(cells * SAMPLES) + 0.5) * (length / (cells * SAMPLES)) * scale + offset


def _overlap(low: float, high: float, cells: int) -> NDArray[np.floating[Any]]:
    """The share of each of so many cells of [0, 1] that lies between two numbers."""
    edges = np.arange(cells + 1) / cells
    share = (np.minimum(high, edges[1:]) - np.maximum(low, edges[:-1])).clip(min=0) * cells
    return share.astype(np.float32)
