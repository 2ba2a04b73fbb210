"""Composed models: encoders, adapters, a fusion and a language model."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial

from triptych.data.features import cache_of
from triptych.data.loader import Inputs, Reader
from triptych.data.mixture import Mixture
from triptych.data.sources import Source
from triptych.families.composed.build import build
from triptych.families.composed.inspect import inspect_composed
from triptych.families.composed.loaded import Assistant
from triptych.families.composed.plan import plan_composed
from triptych.families.composed.shape import build_composed_shape
from triptych.families.family import Family
from triptych.language.template import ChatTemplate
from triptych.model.composed import MultimodalModel
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
        encoder = model.encoder() if "image" in model.encoders else None
        own = model.language.template
        template = (
            ChatTemplate(own.tokenizer, stage.chat_template, own.system_prompt, own.regions)
            if stage.chat_template
            else None
        )
        caching = recipe.loading.cache_features
        regions = model.region_encoder if stage.objective.reads_regions else None
        return Reader(
            sources=sources,
            mixture=mixture,
            batch_size=batch_size,
            plan=model.plan if template is None else partial(model.plan, template=template),
            prepare=encoder.prepare if encoder is not None else None,
            cache=cache_of(encoder, caching),
            row_tokens=recipe.sequence.row_tokens or recipe.sequence.max_tokens,
            pad=model.language.placeholder,
            apart=bool(stage.groups),
            alone=model.language.capabilities.packing == "rows",
            details=Inputs(regions.prepare, cache_of(regions, caching)) if regions is not None else None,
            unroll=model.unroll if template is None else partial(model.unroll, template=template),
        )
