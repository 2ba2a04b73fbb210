"""From a config to its encoder: the one place that pairs them. Modules are imported only when asked for."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, assert_never

from triptych.custom import CustomConfig, build_custom
from triptych.encoders.config import (
    PLAIN_TOWERS,
    EfficientNetConfig,
    HuggingFaceConfig,
    SamConfig,
    VisionTransformerConfig,
)

if TYPE_CHECKING:
    from triptych.encoders.encoder import Encoder


def build(
    config: EfficientNetConfig | HuggingFaceConfig | VisionTransformerConfig | SamConfig | CustomConfig,
    base: Path | None = None,
) -> Encoder:
    """Build an encoder with its weights, in evaluation mode, in the precision of its config.

    Args:
        config: Which, and how.
        base: The folder that relative `file:` paths start from.

    Raises:
        WeightsError: The weights cannot be had or do not fit.
        RecipeError: The parts of the config do not go together.
    """
    match config:
        case EfficientNetConfig():
            from triptych.encoders.efficientnet import EfficientNet

            return EfficientNet.from_config(config, base)
        case HuggingFaceConfig():
            from triptych.encoders.huggingface import HuggingFaceEncoder
            from triptych.encoders.probed import ProbedEncoder
            from triptych.encoders.towers import model_type

            kind = HuggingFaceEncoder if model_type(config, base) in PLAIN_TOWERS else ProbedEncoder
            return kind.from_config(config, base)
        case VisionTransformerConfig():
            from triptych.encoders.vit_encoder import VisionTransformerEncoder

            return VisionTransformerEncoder.from_config(config, base)
        case SamConfig():
            from triptych.encoders.sam import SamEncoder

            return SamEncoder.from_config(config, base)
        case CustomConfig():
            from triptych.encoders.encoder import Encoder

            return build_custom(config, Encoder).eval()
        case _:
            assert_never(config)
