"""Open-vocabulary detectors."""

from __future__ import annotations

from collections.abc import Mapping

from triptych.data.features import cache_of
from triptych.data.mixture import Mixture
from triptych.data.sources import Source
from triptych.families.detector.build import build_detector_model
from triptych.families.detector.data import DetectionReader
from triptych.families.detector.inspect import inspect_boxes
from triptych.families.detector.loaded import Finder
from triptych.families.detector.model import OpenVocabularyDetector
from triptych.families.detector.plan import plan_detector
from triptych.families.detector.shape import build_detector_shape
from triptych.families.family import Family
from triptych.recipe import Recipe
from triptych.training.config import StageConfig


class DetectorFamily(Family[OpenVocabularyDetector]):
    """See `Family`."""

    loaded = Finder
    build = staticmethod(build_detector_model)
    shape = staticmethod(build_detector_shape)
    plan = staticmethod(plan_detector)
    inspect = staticmethod(inspect_boxes)

    def reader(
        self,
        model: OpenVocabularyDetector,
        recipe: Recipe,
        sources: Mapping[str, Source],
        mixture: Mixture,
        batch_size: int,
        stage: StageConfig,  # noqa: ARG002 - all stages read alike
    ) -> DetectionReader:
        """See `Family.reader`."""
        vision = model.vision
        cache = cache_of(vision, recipe.loading.cache_features)
        return DetectionReader(sources, mixture, batch_size, vision.preparation, vision.prepare, cache)
