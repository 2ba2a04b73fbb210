"""EVA's masked image modelling (Fang et al., 2023): a teacher's features where the tower sees nothing.

pixels ─┬─► teacher (frozen) ───────────────► features [N, T, D'] ─┐
        └─► tower, some patches masked ─► masked_head [N, T, D'] ──┴─► 1 - cosine, over the masked patches
"""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar

import torch
from torch import Tensor
from torch.nn import functional

from triptych.encoders.build import build as build_encoder
from triptych.errors import TrainingError
from triptych.families.dual.config import MaskedImage
from triptych.families.dual.model import DualEncoder
from triptych.sequence.pairs import PairBatch
from triptych.training.objectives.objective import Loss


class MaskedImageObjective:
    """The mean of one minus the cosine over a picture's masked patches, summed over pictures.

    Args:
        config: The teacher, and how much is masked.
        base: The folder that relative paths of the teacher's weights start from.

    Raises:
        WeightsError: The teacher's weights cannot be had.
    """

    splittable: ClassVar[bool] = True
    gathers: ClassVar[bool] = False

    def __init__(self, config: MaskedImage, base: Path | None = None) -> None:
        self.share = config.share
        self.teacher = build_encoder(config.teacher, base).requires_grad_(False).eval()

    def count(self, batch: PairBatch) -> int:
        """Number of pictures; all have as many masked patches."""
        return len(batch)

    def __call__(self, model: DualEncoder, batch: PairBatch) -> Loss:
        """The summed loss of the batch's pictures."""
        assert model.masked_head is not None  # the recipe makes sure of it
        pixels = batch.pixels.to(model.device)
        wanted = self._features(model, pixels)
        cells = wanted.shape[1]
        masked = draw_mask(len(pixels), cells, max(1, round(self.share * cells)), model.device)
        states = model.tower(pixels, masked)[:, model.tower.prefix :]
        found = model.masked_head(states[masked]).float()
        loss = 1 - functional.cosine_similarity(found, wanted[masked].float(), dim=-1)
        return Loss(loss.sum() * len(pixels) / max(1, len(loss)), len(pixels))

    @torch.no_grad()
    def _features(self, model: DualEncoder, pixels: Tensor) -> Tensor:
        """The teacher's features `[N, T, D']`, at the resolution that it is made for."""
        teacher = self.teacher.to(model.device)
        size = teacher.preparation.size
        if pixels.shape[-1] != size:
            resized = functional.interpolate(
                pixels.float(), size=(size, size), mode="bicubic", align_corners=False, antialias=True
            )
            pixels = resized.clamp(0, 255)
        features: Tensor = teacher(pixels)
        rows = model.preparation.size // model.tower.architecture.patch_size
        head = model.masked_head
        assert head is not None
        if features.shape[1] != rows * rows or features.shape[2] != head.out_features:
            raise TrainingError(
                f"masked_image: the teacher has {features.shape[1]} features of {features.shape[2]} channels, the tower "
                f"{rows} × {rows} patches and `model.masked_features: {head.out_features}`; choose the teacher's "
                "`resolution` and `drop_cls`, or `masked_features`, so that they are the same"
            )
        return features


def draw_mask(pictures: int, cells: int, masked: int, device: torch.device) -> Tensor:
    """`[N, T]`, true at so many cells of each picture, drawn from the random numbers of the CPU."""
    chosen = torch.rand(pictures, cells).topk(masked, dim=1).indices
    return torch.zeros(pictures, cells, dtype=torch.bool).scatter_(1, chosen, True).to(device)
