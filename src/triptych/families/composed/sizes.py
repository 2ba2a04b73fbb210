"""How much there is to read for a composed model: conversations, planned with its own tokenizer where both are at hand."""

from __future__ import annotations

from typing import Any

from triptych.families.composed.config import composed
from triptych.grounding.introduce import introduce_to_tokenizer, region_writer
from triptych.language.template import ChatTemplate
from triptych.planner.datasets import DatasetSize, check_lengths, conversation_size, used
from triptych.recipe import Recipe


def dataset_sizes(recipe: Recipe, tokenizer: Any | None = None) -> dict[str, DatasetSize]:
    """The sizes of all datasets that stages draw from.

    Args:
        recipe: Whose datasets.
        tokenizer: The language model's, where it is at hand.

    Raises:
        RecipeError: A dataset that is not at hand does not say how many records to expect, and a stage's length
            depends on it.
    """
    config, regions = composed(recipe).language, composed(recipe).regions
    template = None if tokenizer is None else ChatTemplate(tokenizer, config.chat_template, config.system)
    if template is not None and regions is not None:
        # How many tokens a region takes does not depend on how pictures are prepared.
        writer = region_writer(regions, None)
        introduce_to_tokenizer(writer, template.tokenizer)
        template.regions = writer
    sizes = {name: conversation_size(name, recipe, template) for name in used(recipe)}
    check_lengths(recipe, sizes)
    return sizes
