"""A detector that was trained here."""

from __future__ import annotations

from pathlib import Path

from triptych.api import load
from triptych.grounding.detectors.config import TrainedConfig
from triptych.grounding.detectors.detector import Detector
from triptych.weights import fetch


class TrainedDetector:
    """The detector of a run."""

    @staticmethod
    def from_config(config: TrainedConfig, base: Path | None = None) -> Detector:
        """Load the run. Raises WeightsError, or RecipeError where its model does not detect."""
        folder = fetch(config.weights, base=base)
        detector: Detector = load(folder).require("detects", str(folder)).detector(config)
        return detector
