"""Dual encoders: CLIP, EVA-CLIP, SigLIP."""

from __future__ import annotations

from collections.abc import Mapping

from triptych.data.features import cache_of
from triptych.data.mixture import Mixture
from triptych.data.pairs import PairReader
from triptych.data.sources import Source
from triptych.families.dual.build import build_dual
from triptych.families.dual.inspect import inspect_dual
from triptych.families.dual.loaded import Dual
from triptych.families.dual.model import DualEncoder
from triptych.families.dual.plan import plan_dual
from triptych.families.dual.shape import build_dual_shape
from triptych.families.family import Family
from triptych.recipe import Recipe
from triptych.training.config import StageConfig


class DualFamily(Family[DualEncoder]):
    """See `Family`."""

    loaded = Dual
    build = staticmethod(build_dual)
    shape = staticmethod(build_dual_shape)
    plan = staticmethod(plan_dual)
    inspect = staticmethod(inspect_dual)

    def reader(
        self,
        model: DualEncoder,
        recipe: Recipe,
        sources: Mapping[str, Source],
        mixture: Mixture,
        batch_size: int,
        stage: StageConfig,
    ) -> PairReader:
        """See `Family.reader`."""
        cache = cache_of(model.frozen_encoder, recipe.loading.cache_features)
        texts = stage.objective.reads_texts
        return PairReader(sources, mixture, batch_size, model.prepare, model.words, texts, cache)
