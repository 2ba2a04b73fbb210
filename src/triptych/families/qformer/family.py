"""BLIP-2's first stage."""

from __future__ import annotations

from collections.abc import Mapping

from triptych.data.features import cache_of
from triptych.data.mixture import Mixture
from triptych.data.pairs import PairReader
from triptych.data.sources import Source
from triptych.families.family import Family
from triptych.families.qformer.build import build_blip2
from triptych.families.qformer.inspect import inspect_qformer
from triptych.families.qformer.loaded import Matcher
from triptych.families.qformer.model import Blip2
from triptych.families.qformer.plan import plan_blip2
from triptych.families.qformer.shape import build_blip2_shape
from triptych.recipe import Recipe
from triptych.training.config import StageConfig


class QFormerFamily(Family[Blip2]):
    """See `Family`."""

    loaded = Matcher
    build = staticmethod(build_blip2)
    shape = staticmethod(build_blip2_shape)
    plan = staticmethod(plan_blip2)
    inspect = staticmethod(inspect_qformer)

    def reader(
        self,
        model: Blip2,
        recipe: Recipe,
        sources: Mapping[str, Source],
        mixture: Mixture,
        batch_size: int,
        stage: StageConfig,
    ) -> PairReader:
        """See `Family.reader`."""
        cache = cache_of(model.encoder, recipe.loading.cache_features)
        texts = stage.objective.reads_texts
        return PairReader(sources, mixture, batch_size, model.prepare, model.words, texts, cache)
