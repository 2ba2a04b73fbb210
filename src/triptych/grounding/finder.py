"""The detector of a run, by itself: evaluated, and asked from the terminal, without a language model in front of it."""

from __future__ import annotations

from pathlib import Path

from triptych.api import fingerprint_of, placed
from triptych.grounding.detector_grounder import DetectorGrounder
from triptych.grounding.detectors.config import TrainedConfig
from triptych.grounding.detectors.trained import TrainedDetector
from triptych.model.build import load_detector_run
from triptych.model.detector import OpenVocabularyDetector
from triptych.recipe import Recipe


class Finder:
    """A trained detector, which points at what it is told the name of; calls are made of expressions by rule.

    Args:
        model: The detector.
        recipe: What it was trained by.
        fingerprint: A hash of what was trained and of the recipe's model.
    """

    def __init__(self, model: OpenVocabularyDetector, recipe: Recipe, fingerprint: str) -> None:
        self.model, self.recipe, self.fingerprint = model, recipe, fingerprint
        self.grounder = DetectorGrounder(TrainedDetector(model, TrainedConfig()))


def load_finder(run: str | Path) -> Finder:
    """The trained detector of a run.

    Raises:
        WeightsError: The folder is no finished run, or its weights cannot be found.
        RecipeError: Its model is of another kind.
    """
    folder = Path(run)
    model, recipe = load_detector_run(folder)
    return Finder(placed(model), recipe, fingerprint_of(folder, recipe))
