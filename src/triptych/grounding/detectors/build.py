"""From a config to its detector: the one place that pairs them. Modules are imported only when asked for."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, assert_never

from triptych.grounding.detectors.config import DetectorConfig, GroundingDinoConfig, OwlConfig, TrainedConfig

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
    match config:
        case GroundingDinoConfig():
            from triptych.grounding.detectors.grounding_dino import GroundingDinoDetector

            return GroundingDinoDetector.from_config(config, base)
        case OwlConfig():
            from triptych.grounding.detectors.owl import OwlDetector

            return OwlDetector.from_config(config, base)
        case TrainedConfig():
            from triptych.grounding.detectors.trained import TrainedDetector

            return TrainedDetector.from_config(config, base)
        case _:
            assert_never(config)
