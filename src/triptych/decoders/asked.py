"""Regions in questions as embeddings: what the picture shows there, and where that is (GLaMM and Ferret have the like).

picture [N, C, h, w] ─► mean under the mask or box [K, C] ┐
corners of the box [K, 4] ─► positions [K, 2C] ───────────┴► small network ─► like a token embedding [K, D]
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from triptych.decoders.masks import MLP
from triptych.decoders.positions import FourierPositions


class AskedRegions(nn.Module):
    """Embeddings of regions.

    Args:
        width: Channels of the picture, C.
        dim: Of the language model's embeddings, D.
        spread: Standard deviation of its token embeddings, which these have, too.
    """

    def __init__(self, width: int, dim: int, spread: float) -> None:
        super().__init__()
        self.spread = spread
        self.positions = FourierPositions(width)
        self.network = MLP(3 * width, dim, dim)

    def forward(self, picture: Tensor, owner: Tensor, coverage: Tensor, corners: Tensor) -> Tensor:
        """Embeddings `[K, D]`.

        Args:
            picture: `[N, C, h, w]`.
            owner: `[K]`, which of the N pictures each region is in.
            coverage: `[K, h, w]`, how much of each cell belongs to the region.
            corners: `[K, 4]`, left, top, right, bottom of its box from 0 to 1.
        """
        weights = (
            coverage.flatten(1) + 1e-6
        )  # a region smaller than the points that cells are told from: the whole picture
        weights = (weights / weights.sum(dim=1, keepdim=True)).to(picture.dtype)
        shown = torch.einsum("kt,kct->kc", weights, picture.flatten(2)[owner])
        placed = self.positions(corners.reshape(-1, 2, 2)).flatten(1)
        out = self.network(torch.cat([shown, placed.to(shown.dtype)], dim=1))
        return functional.layer_norm(out, out.shape[-1:]) * self.spread
