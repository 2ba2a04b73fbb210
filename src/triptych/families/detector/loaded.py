"""A trained detector by itself: evaluated, and asked from the terminal, without a language model in front of it."""

from __future__ import annotations

from triptych.api import Model
from triptych.families.detector.model import OpenVocabularyDetector
from triptych.families.detector.trained import CellDetector
from triptych.generate.config import GenerationSettings
from triptych.grounding.detector_grounder import DetectorGrounder
from triptych.grounding.detectors.config import TrainedConfig


class Finder(Model):
    """A trained detector, which points at what it is told the name of; calls are made of expressions by rule."""

    model: OpenVocabularyDetector

    def refusal(self, name: str) -> str:
        """See `Capable.refusal`."""
        if name == "answers":
            return f"a model of `kind: {self.kind}` finds what it is told the name of and answers nothing"
        return super().refusal(name)

    def instead(self, run: str) -> str:
        """See `Capable.instead`."""
        return (
            f'. What works: `triptych evaluate {run}` and `triptych ground {run} "the dog" --image PICTURE`; a language model '
            f"calls it by `model.regions: {{kind: call, detector: {{kind: trained, weights: run:{run}}}}}`"
        )

    def detector(self, config: TrainedConfig) -> CellDetector:
        """The detector with thresholds of its own."""
        return CellDetector(self.model, config)

    def grounder(self, settings: GenerationSettings | None = None) -> DetectorGrounder:  # noqa: ARG002 - it writes nothing
        """See `Grounds.grounder`."""
        return DetectorGrounder(self.detector(TrainedConfig()))

    def pointing_settings(self) -> GenerationSettings:
        """See `Grounds.pointing_settings`."""
        return GenerationSettings()

    def pointing_fingerprint(self) -> str:
        """See `Grounds.pointing_fingerprint`."""
        return self.fingerprint
