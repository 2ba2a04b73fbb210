"""A language model learns the tokens of regions, and its template how to write them."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

from triptych.conversation import Region
from triptych.decoders.config import EmbeddingRegionsConfig
from triptych.encoders.preparation import ImagePreparation
from triptych.grounding.config import CallRegionsConfig, RegionsConfig, TextRegionsConfig
from triptych.grounding.formats.build import TextRegions, build_format, unmoved
from triptych.grounding.formats.embedding import EmbeddingRegions
from triptych.language.backbone import LanguageModel
from triptych.language.new_tokens import introduce, new_names
from triptych.language.regions import RegionWriter


def region_writer(config: RegionsConfig, preparation: ImagePreparation | None) -> RegionWriter:
    """Who writes the regions of a recipe's conversations.

    Args:
        config: What the recipe says.
        preparation: Of the pictures; None where the model sees none.
    """
    match config:
        case TextRegionsConfig():
            moved: Callable[[Region], Region] = unmoved
            if config.frame == "input" and preparation is not None:
                moved = partial(into_input, preparation)
            return TextRegions(build_format(config), moved)
        case EmbeddingRegionsConfig():
            return EmbeddingRegions(config)
        case CallRegionsConfig():
            from triptych.grounding.unfold import CallRegions

            return CallRegions(config)


def introduce_regions(config: RegionsConfig, language: LanguageModel, preparation: ImagePreparation | None) -> None:
    """Add the tokens of regions to a language model, and have its template write them."""
    writer = region_writer(config, preparation)
    bins = writer.format.bins if isinstance(writer, TextRegions) else 0
    language.add_tokens(writer.tokens, bins)
    language.template.regions = writer


def introduce_to_tokenizer(writer: RegionWriter, tokenizer: Any) -> None:
    """Add the tokens of regions to a tokenizer alone, as `introduce_regions` does: for planning without weights."""
    if names := new_names(tokenizer, writer.tokens):
        introduce(tokenizer, names)


def into_input(preparation: ImagePreparation, region: Region) -> Region:
    """A region of a picture, which its frame has the size of, in the square that the encoder sees; not clipped.

    Raises:
        ValueError: The encoder crops away all of it.
    """
    width, height = max(1, round(region.frame.width)), max(1, round(region.frame.height))
    moved = preparation.transform(width, height)(region)
    left = moved.clip()
    gone = not left.points if region.points else left.is_degenerate and not region.is_degenerate
    if gone:
        raise ValueError(f"the region {region.name!r} is not in the part of the picture that the encoder sees")
    return moved


def from_input(preparation: ImagePreparation, region: Region, width: int, height: int) -> Region:
    """A region of the square that the encoder sees in the picture of this size, clipped to it."""
    transform = preparation.transform(width, height)
    return transform.back(region.to(transform.target)).clip()
