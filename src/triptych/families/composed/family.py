"""Composed models: encoders, adapters, a fusion and a language model."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial

from triptych.data.features import cache_of
from triptych.data.loader import Reader, SlotInputs
from triptych.data.mixture import Mixture
from triptych.data.sources import Source
from triptych.families.composed.build import build
from triptych.families.composed.inspect import inspect_composed
from triptych.families.composed.loaded import Assistant
from triptych.families.composed.plan import plan_composed
from triptych.families.composed.shape import build_composed_shape
from triptych.families.family import Family
from triptych.language.template import ChatTemplate
from triptych.model.composed import REGIONS, MultimodalModel
from triptych.recipe import Recipe
from triptych.training.config import StageConfig


class ComposedFamily(Family[MultimodalModel]):
    """See `Family`."""

    loaded = Assistant
    build = staticmethod(build)
    shape = staticmethod(build_composed_shape)
    plan = staticmethod(plan_composed)
    inspect = staticmethod(inspect_composed)

    def reader(
        self,
        model: MultimodalModel,
        recipe: Recipe,
        sources: Mapping[str, Source],
        mixture: Mixture,
        batch_size: int,
        stage: StageConfig,
    ) -> Reader:
        """See `Family.reader`."""
        own = model.language.template
        template = (
            ChatTemplate(own.tokenizer, stage.chat_template, own.system_prompt, own.regions)
            if stage.chat_template
            else None
        )
        slots = {
            slot: SlotInputs(encoder.medium, encoder.prepare, cache_of(encoder, recipe.loading.cache_features))
            for slot, encoder in model.slots().items()
            if slot != REGIONS or stage.objective.reads_regions
        }
        return Reader(
            sources=sources,
            mixture=mixture,
            batch_size=batch_size,
            plan=model.plan if template is None else partial(model.plan, template=template),
            slots=slots,
            row_tokens=recipe.sequence.row_tokens or recipe.sequence.max_tokens,
            pad=model.language.placeholder,
            apart=bool(stage.groups),
            alone=model.language.capabilities.packing == "rows",
            unroll=model.unroll if template is None else partial(model.unroll, template=template),
        )
