"""Adapters: from an encoder's features to the language model's space."""

from triptych.adapters.build import build
from triptych.adapters.config import (
    AdapterConfig,
    ConnectorConfig,
    LinearConfig,
    MLPConfig,
    PerceiverConfig,
    QFormerConfig,
)

__all__ = [
    "AdapterConfig",
    "ConnectorConfig",
    "LinearConfig",
    "MLPConfig",
    "PerceiverConfig",
    "QFormerConfig",
    "build",
]
