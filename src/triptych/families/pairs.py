"""What families that read pairs of a picture and a text have in common."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeVar

from triptych.data.features import cache_of
from triptych.data.mixture import Mixture
from triptych.data.pairs import PairReader
from triptych.data.sources import Source
from triptych.families.family import Family
from triptych.model.trainable import Trainable
from triptych.recipe import Recipe
from triptych.training.config import StageConfig

M = TypeVar("M", bound=Trainable)


class PairFamily(Family[M]):
    """A family whose model has `prepare` (picture → pixels) and `words` (texts → ids)."""

    def reader(
        self,
        model: Any,
        recipe: Recipe,
        sources: Mapping[str, Source],
        mixture: Mixture,
        batch_size: int,
        stage: StageConfig,
    ) -> PairReader:
        """See `Family.reader`."""
        cache = cache_of(model.slots().get("image"), recipe.loading.cache_features)
        texts = stage.objective.reads_texts
        return PairReader(sources, mixture, batch_size, model.prepare, model.words, texts, cache)
