"""Encoders: from a raw medium to features `[N, T, D_enc]`."""

from triptych.encoders.build import build
from triptych.encoders.config import (
    EfficientNetConfig,
    EncoderConfig,
    HuggingFaceConfig,
    TextTransformerConfig,
    VisionTransformerConfig,
)

__all__ = [
    "EfficientNetConfig",
    "EncoderConfig",
    "HuggingFaceConfig",
    "TextTransformerConfig",
    "VisionTransformerConfig",
    "build",
]
