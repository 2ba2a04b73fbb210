"""Adapters: from an encoder's features to the language model's space."""

from triptych.adapters.build import build
from triptych.adapters.config import AdapterConfig, LinearConfig, MLPConfig

__all__ = ["AdapterConfig", "LinearConfig", "MLPConfig", "build"]
