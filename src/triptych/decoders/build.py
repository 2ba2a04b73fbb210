"""From a recipe to the decoders of its regions."""

from __future__ import annotations

from pathlib import Path

from triptych.decoders.asked import AskedRegions
from triptych.decoders.config import EmbeddingRegionsConfig
from triptych.decoders.regions import RegionDecoder
from triptych.encoders.image_encoder import ImageEncoder
from triptych.errors import WeightsError
from triptych.formats import sam


def build_decoder(config: EmbeddingRegionsConfig, hidden: int, encoder: ImageEncoder) -> RegionDecoder:
    """Decoders with random weights for hidden states of so many channels, which look at this encoder's features.

    Raises:
        RecipeError: The parts do not go together.
    """
    return RegionDecoder(config, hidden, encoder.dim, encoder.grid, encoder.levels)


def build_asked(config: EmbeddingRegionsConfig, dim: int, spread: float) -> AskedRegions | None:
    """What embeds regions of questions, in so many channels with this standard deviation; None where nothing does."""
    return AskedRegions(config.width, dim, spread) if config.questions else None


def load_weights(decoder: RegionDecoder, config: EmbeddingRegionsConfig, base: Path | None = None) -> None:
    """Put the pretrained weights in place that the recipe names.

    Raises:
        WeightsError: They cannot be had, or do not fit.
    """
    if config.mask is not None and config.mask.weights is not None and decoder.mask is not None:
        try:
            sam.load(decoder.mask, config.mask.weights, base)
        except WeightsError as error:
            raise WeightsError(f"model.regions.mask.weights: {error}") from error
