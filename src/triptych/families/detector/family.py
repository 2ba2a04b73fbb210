"""Open-vocabulary detectors."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from triptych.conversation import Conversation
from triptych.data.features import cache_of
from triptych.data.mixture import Mixture
from triptych.data.sources import Source
from triptych.families.detector.build import build_detector_model
from triptych.families.detector.data import DetectionReader
from triptych.families.detector.loaded import Finder
from triptych.families.detector.model import OpenVocabularyDetector
from triptych.families.family import Family
from triptych.planner.cost import CostPlan
from triptych.planner.devices import DeviceSpec
from triptych.recipe import Recipe
from triptych.training.config import StageConfig


class DetectorFamily(Family[OpenVocabularyDetector]):
    """See `Family`."""

    loaded = Finder

    def build(self, recipe: Recipe) -> OpenVocabularyDetector:
        """See `Family.build`."""
        return build_detector_model(recipe)

    def shape(
        self, recipe: Recipe, bfloat16_encoder: bool = False, tokenizer: Any | None = None
    ) -> OpenVocabularyDetector:
        """See `Family.shape`."""
        from triptych.families.detector.shape import build_detector_shape

        return build_detector_shape(recipe, bfloat16_encoder, tokenizer)

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

    def plan(self, recipe: Recipe, device: DeviceSpec, count: int) -> CostPlan:
        """See `Family.plan`."""
        from triptych.families.detector.plan import plan_detector

        return plan_detector(recipe, device, count)

    def inspect(self, recipe: Recipe, conversation: Conversation, name: str, save: Path | None) -> None:
        """See `Family.inspect`."""
        from triptych.families.detector.inspect import inspect_boxes

        inspect_boxes(recipe, conversation, name, save)
