"""What numbers of a recipe's encoder and language model are known without torch and without a download.

What is not known here (weights of the hub that Triptych has never heard of, classes of one's own) is checked when the
model is built.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from triptych.encoders.config import (
    PLAIN_TOWERS,
    EfficientNetConfig,
    EncoderConfig,
    HuggingFaceConfig,
    VisionTransformerConfig,
)
from triptych.weights.architectures import peek

LAYERS = ("num_hidden_layers", "n_layer", "n_layers", "num_layers", "layers")
"""What transformers' configurations call the number of layers."""

WIDTH = ("hidden_size", "n_embd", "d_model", "embed_dim")
"""What they call the width."""

Values = dict[str, Any]


def vision_values(config: HuggingFaceConfig, base: Path | None = None) -> Values:
    """The same of a vision tower."""
    if config.architecture is not None:
        return config.architecture
    return peek(config.weights or "", "vision", base) or {}


def number(values: Values, names: tuple[str, ...]) -> int | None:
    """The first of several names that has a whole number."""
    return next((values[name] for name in names if isinstance(values.get(name), int)), None)


def known_features(config: EncoderConfig, base: Path) -> tuple[tuple[int, int], int, int | None] | None:
    """Grid, class tokens in front of it and channels of an encoder's features; None where they are not known."""
    match config:
        case EfficientNetConfig():
            side = -(-config.resolution // 32)
            return (side, side), 0, {"head": 1280, "last": 352, "pyramid": 1600}[config.features]
        case HuggingFaceConfig():
            values = vision_values(config, base)
            if values.get("model_type") not in PLAIN_TOWERS:
                return None  # the grid of others is known when they are built
            own, patch = config.resolution or number(values, ("image_size",)), number(values, ("patch_size",))
            if not own or not patch or own % patch:
                return None
            has_class = not str(values.get("model_type", "")).startswith("siglip")
            cells = own // patch
            return (cells, cells), int(has_class and not config.drop_cls), number(values, WIDTH)
        case VisionTransformerConfig() if config.architecture is not None:
            shape = config.architecture
            cells = (config.resolution or shape.image_size) // shape.patch_size
            return (cells, cells), int(shape.class_token and not config.drop_cls), shape.width
        case _:
            return None
