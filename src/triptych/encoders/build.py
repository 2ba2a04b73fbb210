"""From a config to its encoder."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from triptych.encoders.config import EncoderConfig
from triptych.registry import CustomConfig, build_custom, implementation

if TYPE_CHECKING:
    from triptych.encoders.encoder import Encoder


def build(config: EncoderConfig, base: Path | None = None) -> Encoder:
    """Build an encoder with its weights, in evaluation mode, in the precision of its config.

    Args:
        config: Which, and how.
        base: The folder that relative `file:` paths start from.

    Raises:
        WeightsError: The weights cannot be had or do not fit.
        RecipeError: The parts of the config do not go together.
    """
    if isinstance(config, CustomConfig):
        from triptych.encoders.encoder import Encoder

        return build_custom("encoder", config, Encoder).eval()
    encoder: Encoder = implementation(config).from_config(config, base)
    return encoder
