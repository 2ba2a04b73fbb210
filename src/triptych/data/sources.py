"""From what a recipe says about a dataset to a source of conversations."""

from __future__ import annotations

from pathlib import Path
from typing import Protocol, assert_never, runtime_checkable

from triptych.conversation import Conversation
from triptych.custom import CustomConfig, build_custom
from triptych.data.boxes.config import CocoInstancesConfig, Flickr30kConfig, RefcocoConfig, VisualGenomeConfig
from triptych.data.config import (
    AlpacaConfig,
    CocoCaptionsConfig,
    DataConfig,
    InterleavedConfig,
    LlavaConfig,
    TextConfig,
)
from triptych.errors import DataError
from triptych.paths import user_path
from triptych.scenes.config import EpisodesConfig, ScenesConfig
from triptych.scenes.referring.config import ReferringConfig


@runtime_checkable
class Source(Protocol):
    """A dataset: so many conversations, each found by its number. Sources are picklable.

    Making a source raises DataError when the dataset as a whole is unusable; `source[i]` raises DataError,
    with file and line or name of the record, when that record is.
    """

    def __len__(self) -> int: ...

    def __getitem__(self, index: int, /) -> Conversation: ...


def build(config: DataConfig, base: Path = Path()) -> Source:
    """The source that `config` describes.

    Args:
        config: Which, and how.
        base: The folder that relative paths start from: the recipe's. A source of the user's own is made as
            `MySource(base=base, **options)`.

    Raises:
        RecipeError: A source of the user's own cannot be imported or made.
        DataError: The dataset as a whole is unusable: a missing file, malformed JSON, no records.
    """
    source = _build(config, base)
    if len(source) == 0:
        raise DataError(f"the dataset is empty: {config!r}")
    return source


def _build(config: DataConfig, base: Path) -> Source:
    match config:
        case ScenesConfig():
            from triptych.scenes.dataset import Scenes

            return Scenes(config)
        case ReferringConfig():
            from triptych.scenes.referring.dataset import Referring

            return Referring(config)
        case LlavaConfig():
            from triptych.data.llava import LlavaSource

            path = _located(config.path, base)
            folder = _located(config.images, base) if config.images else path.parent
            if config.boxes == "text":
                return LlavaSource(path, folder, config.limit)
            from triptych.data.boxes.llava import LlavaBoxesSource

            return LlavaBoxesSource(path, folder, config.boxes, config.limit)
        case CocoCaptionsConfig():
            from triptych.data.coco import CocoCaptionsSource

            return CocoCaptionsSource(
                _located(config.annotations, base),
                _located(config.images, base),
                prompts=config.prompts,
                captions=config.captions,
                limit=config.limit,
            )
        case EpisodesConfig():
            from triptych.scenes.episodes import Episodes

            return Episodes(config)
        case TextConfig():
            from triptych.data.text import TextSource

            return TextSource(
                _located(config.path, base),
                documents=config.documents,
                field=config.field,
                chunk_characters=config.chunk_characters,
                limit=config.limit,
            )
        case AlpacaConfig():
            from triptych.data.alpaca import AlpacaSource

            return AlpacaSource(_located(config.path, base), form=config.form, limit=config.limit)
        case InterleavedConfig():
            from triptych.data.interleaved import InterleavedSource

            path = _located(config.path, base)
            return InterleavedSource(
                path, _located(config.images, base) if config.images else path.parent, config.limit
            )
        case CocoInstancesConfig():
            from triptych.data.boxes.coco import CocoInstancesSource

            return CocoInstancesSource(_located(config.annotations, base), _located(config.images, base), config)
        case RefcocoConfig():
            from triptych.data.boxes.refcoco import RefcocoSource

            instances = _located(config.instances, base) if config.instances else None
            return RefcocoSource(_located(config.path, base), _located(config.images, base), config, instances)
        case VisualGenomeConfig():
            from triptych.data.boxes.visual_genome import VisualGenomeSource

            return VisualGenomeSource(_located(config.path, base), _located(config.images, base), config)
        case Flickr30kConfig():
            from triptych.data.boxes.flickr30k import Flickr30kSource

            split = _located(config.split, base) if config.split else None
            return Flickr30kSource(_located(config.path, base), _located(config.images, base), config, split)
        case CustomConfig():
            return build_custom(config, Source, base=base)  # type: ignore[type-abstract]
        case _:
            assert_never(config)


def _located(path: Path, base: Path) -> Path:
    return user_path(path, base, DataError)
