"""From a config to its encoder."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from triptych.conversation import Image
from triptych.encoders.config import EncoderConfig
from triptych.errors import RecipeError
from triptych.registry import CustomConfig, build_custom, implementation

if TYPE_CHECKING:
    from triptych.encoders.encoder import Encoder
    from triptych.encoders.image_encoder import ImageEncoder


def build(config: EncoderConfig, base: Path | None = None) -> ImageEncoder:
    """Build an encoder of pictures with its weights, in evaluation mode, in the precision of its config.

    Args:
        config: Which, and how.
        base: The folder that relative `file:` paths start from.

    Raises:
        WeightsError: The weights cannot be had or do not fit.
        RecipeError: The parts of the config do not go together.
    """
    if isinstance(config, CustomConfig):
        from triptych.encoders.image_encoder import ImageEncoder

        return build_custom("encoder", config, ImageEncoder).eval()
    encoder: ImageEncoder = implementation(config).from_config(config, base)
    return encoder


def build_for(modality: str, config: EncoderConfig, base: Path | None = None) -> Encoder:
    """Build the encoder of a modality: of pictures as `build` does, of others by the class that the recipe names.

    Args:
        modality: Its key in `model.encoders`.
        config: Which, and how.
        base: The folder that relative `file:` paths start from.

    Raises:
        WeightsError: The weights cannot be had or do not fit.
        RecipeError: The class cannot be imported or made, or takes media of another modality.
    """
    if modality == Image.modality:
        return build(config, base)
    from triptych.encoders.encoder import Encoder

    assert isinstance(config, CustomConfig)  # the recipe's schema has no other kinds for it
    encoder = build_custom("encoder", config, Encoder).eval()
    medium = getattr(encoder, "medium", None)
    if medium is None:
        raise RecipeError(f"model.encoders.{modality}: {config.kind} does not say which `medium` it takes")
    if medium.modality != modality:
        raise RecipeError(
            f"model.encoders.{modality}: {config.kind} takes media of the modality {medium.modality!r}; "
            f"write it as model.encoders.{medium.modality}, and its adapter as model.adapters.{medium.modality}"
        )
    return encoder
