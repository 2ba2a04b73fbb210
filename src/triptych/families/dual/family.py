"""Dual encoders: CLIP, EVA-CLIP, SigLIP."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from triptych.conversation import Conversation
from triptych.data.features import cache_of
from triptych.data.mixture import Mixture
from triptych.data.pairs import PairReader
from triptych.data.sources import Source
from triptych.families.dual.build import build_dual
from triptych.families.dual.loaded import Dual
from triptych.families.dual.model import DualEncoder
from triptych.families.family import Family
from triptych.planner.cost import CostPlan
from triptych.planner.devices import DeviceSpec
from triptych.recipe import Recipe
from triptych.training.config import StageConfig


class DualFamily(Family[DualEncoder]):
    """See `Family`."""

    loaded = Dual

    def build(self, recipe: Recipe) -> DualEncoder:
        """See `Family.build`."""
        return build_dual(recipe)

    def shape(self, recipe: Recipe, bfloat16_encoder: bool = False, tokenizer: Any | None = None) -> DualEncoder:
        """See `Family.shape`."""
        from triptych.families.dual.shape import build_dual_shape

        return build_dual_shape(recipe, bfloat16_encoder, tokenizer)

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

    def plan(self, recipe: Recipe, device: DeviceSpec, count: int) -> CostPlan:
        """See `Family.plan`."""
        from triptych.families.dual.plan import plan_dual

        return plan_dual(recipe, device, count)

    def inspect(self, recipe: Recipe, conversation: Conversation, name: str, save: Path | None) -> None:
        """See `Family.inspect`."""
        from triptych.families.dual.inspect import inspect_dual

        inspect_dual(recipe, conversation, name, save)
