"""BLIP-2's first stage."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from triptych.conversation import Conversation
from triptych.data.features import cache_of
from triptych.data.mixture import Mixture
from triptych.data.pairs import PairReader
from triptych.data.sources import Source
from triptych.families.family import Family
from triptych.families.qformer.build import build_blip2
from triptych.families.qformer.loaded import Matcher
from triptych.families.qformer.model import Blip2
from triptych.planner.cost import CostPlan
from triptych.planner.devices import DeviceSpec
from triptych.recipe import Recipe
from triptych.training.config import StageConfig


class QFormerFamily(Family[Blip2]):
    """See `Family`."""

    loaded = Matcher

    def build(self, recipe: Recipe) -> Blip2:
        """See `Family.build`."""
        return build_blip2(recipe)

    def shape(self, recipe: Recipe, bfloat16_encoder: bool = False, tokenizer: Any | None = None) -> Blip2:
        """See `Family.shape`."""
        from triptych.families.qformer.shape import build_blip2_shape

        return build_blip2_shape(recipe, bfloat16_encoder, tokenizer)

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

    def plan(self, recipe: Recipe, device: DeviceSpec, count: int) -> CostPlan:
        """See `Family.plan`."""
        from triptych.families.qformer.plan import plan_blip2

        return plan_blip2(recipe, device, count)

    def inspect(self, recipe: Recipe, conversation: Conversation, name: str, save: Path | None) -> None:
        """See `Family.inspect`."""
        from triptych.families.qformer.inspect import inspect_qformer

        inspect_qformer(recipe, conversation, name, save)
