"""All that Triptych asks of the family."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from markupsafe import Markup

from triptych.api import Model
from triptych.conversation import Image
from triptych.data.mixture import Mixture
from triptych.data.sources import Source
from triptych.families.family import Family
from triptych.recipe import Recipe
from triptych.report.section import Section
from triptych.sequence.pack import Document
from triptych.training.config import StageConfig
from vq_family.config import VQConfig
from vq_family.data import PictureBatch, PictureReader, pixels
from vq_family.model import VQAutoencoder


class Reconstructor(Model):
    """A trained autoencoder, which reconstructs pictures."""

    model: VQAutoencoder

    def capability(self, name: str) -> Any | None:
        """It has one that Triptych has never heard of."""
        return self if name == "reconstructs" else None

    def reconstruct(self, pictures: Sequence[Image]) -> torch.Tensor:
        """`[N, 3, S, S]` from 0 to 1."""
        with torch.inference_mode():
            return self.model(torch.stack([pixels(picture, self.model.side) for picture in pictures])).picture

    def mean_squared_error(self, picture: Image) -> float:
        """Of a picture from 0 to 1."""
        made = self.reconstruct([picture])[0]
        return float((made - pixels(picture, self.model.side).float() / 255).square().mean())


class VQFamily(Family[VQAutoencoder]):
    """See `Family`."""

    loaded = Reconstructor

    def build(self, recipe: Recipe) -> VQAutoencoder:
        """See `Family.build`."""
        assert isinstance(recipe.model, VQConfig)
        torch.manual_seed(recipe.seed)
        return VQAutoencoder(recipe.model)

    def shape(self, recipe: Recipe, bfloat16_encoder: bool = False, tokenizer: Any | None = None) -> VQAutoencoder:
        """See `Family.shape`."""
        with torch.device("meta"):
            return self.build(recipe)

    def reader(
        self,
        model: VQAutoencoder,
        recipe: Recipe,
        sources: Mapping[str, Source],
        mixture: Mixture,
        batch_size: int,
        stage: StageConfig,
    ) -> PictureReader:
        """See `Family.reader`."""
        return PictureReader(sources, mixture, batch_size, model.side)

    def batch(self, model: VQAutoencoder, recipe: Recipe, stage: StageConfig, records: int) -> PictureBatch:
        """See `Family.batch`."""
        pictures = torch.empty(records, 3, model.side, model.side, dtype=torch.uint8, device="meta")
        return PictureBatch(pictures, tuple(Document(i, str(i), {}, (), "") for i in range(records)))

    def sections(self, folder: Path, recipe: Recipe) -> list[Section]:
        """The error of each step."""
        lines = (folder / "metrics.jsonl").read_text().splitlines()
        errors = [json.loads(line)["loss_picture"] for line in lines if "loss_picture" in line]
        points = " ".join(
            f"{i * 300 / max(1, len(errors) - 1):.1f},{80 - 80 * e / max(errors):.1f}" for i, e in enumerate(errors)
        )
        curve = Markup('<svg viewBox="0 0 300 80"><polyline fill="none" stroke="currentColor" points="{}"/></svg>')
        return [Section("Reconstruction", curve.format(points))]
