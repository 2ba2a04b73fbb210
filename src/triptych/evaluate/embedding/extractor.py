"""What turns pictures into features to measure distances between sets of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from triptych.conversation import Image
from triptych.evaluate.embedding.encoder import Embedder, Floats

if TYPE_CHECKING:
    from triptych.encoders.image_encoder import ImageEncoder

AT_ONCE = 64
"""Pictures that are held in memory together."""


@dataclass(frozen=True)
class Extractor:
    """Pooled features of pictures by one model, which a distance names: without it the number says nothing.

    Args:
        name: Of the model.
        fingerprint: A hash of its weights and of how it prepares pictures.
        both: The same model with texts, where it has them.
    """

    name: str
    fingerprint: str
    encoder: ImageEncoder | None = None
    both: Embedder | None = None

    def features(self, pictures: Sequence[Image]) -> Floats:
        """Features `[N, D]`: the mean over an encoder's positions, or what a dual encoder projects from."""
        if self.both is not None:
            return np.asarray(self.both.features(pictures))
        assert self.encoder is not None
        import torch

        found = []
        with torch.inference_mode():
            for start in range(0, len(pictures), AT_ONCE):
                pixels = [self.encoder.prepare(picture) for picture in pictures[start : start + AT_ONCE]]
                found += [feature.float().mean(dim=0).cpu().numpy() for feature in self.encoder.encode(pixels)]
        return np.stack(found)


def extractor_of(run: Path | None) -> Extractor:
    """The model of a run that embeds pictures; without one EfficientNet-Lite2, which is at hand everywhere.

    Raises:
        WeightsError: The folder is no finished run, or weights cannot be found.
        RecipeError: The run's model embeds nothing.
    """
    if run is not None:
        from triptych.api import load

        model = load(run)
        return Extractor(run.resolve().name, model.fingerprint, both=model.require("embeds", str(run)))
    from triptych.encoders.build import build
    from triptych.encoders.config import EfficientNetConfig

    encoder = build(EfficientNetConfig(precision="float32"))
    return Extractor("EfficientNet-Lite2", encoder.fingerprint[:16], encoder=encoder)
