"""From a config to its detector."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from triptych.grounding.detectors.config import DetectorConfig
from triptych.registry import implementation

if TYPE_CHECKING:
    from triptych.grounding.detectors.detector import Detector


def build_detector(config: DetectorConfig, base: Path | None = None) -> Detector:
    """Build a detector with its weights, in evaluation mode.

    Args:
        config: Which, and how.
        base: The folder that relative paths start from.

    Raises:
        WeightsError: The weights cannot be had or do not fit.
    """
    detector: Detector = implementation(config).from_config(config, base)
    return detector
