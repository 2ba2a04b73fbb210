"""The loss of a vector-quantised autoencoder."""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar

from triptych.training.objectives.objective import Loss
from vq_family.config import VQLossConfig
from vq_family.data import PictureBatch
from vq_family.model import VQAutoencoder


class VQLoss:
    """Squared errors of the picture, of the codebook and of the commitment; each a mean over a picture, summed over pictures."""

    splittable: ClassVar[bool] = True
    gathers: ClassVar[bool] = False

    def __init__(self, config: VQLossConfig, base: Path | None = None) -> None:
        self.config = config

    def count(self, batch: PictureBatch) -> int:
        """Number of pictures."""
        return batch.supervised

    def __call__(self, model: VQAutoencoder, batch: PictureBatch) -> Loss:
        """The summed loss."""
        pictures = batch.pictures.to(model.device)
        made = model(pictures)
        error = (made.picture - pictures.float() / 255).square().flatten(1).mean(dim=1).sum()
        codebook = (made.states.detach() - made.entries).square().flatten(1).mean(dim=1).sum()
        commitment = (made.states - made.entries.detach()).square().flatten(1).mean(dim=1).sum()
        total = error + codebook + self.config.commitment * commitment
        return Loss(total, batch.supervised, {"picture": error.detach(), "codebook": codebook.detach()})
