"""From what a recipe says about a dataset to a source of conversations."""

from __future__ import annotations

from pathlib import Path
from typing import Protocol, runtime_checkable

from triptych.conversation import Conversation
from triptych.data.config import DataConfig
from triptych.errors import DataError
from triptych.registry import CustomConfig, build_custom, implementation


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
    source: Source
    if isinstance(config, CustomConfig):
        source = build_custom("dataset", config, Source, base=base)  # type: ignore[type-abstract]
    else:
        source = implementation(config).from_config(config, base)
    if len(source) == 0:
        raise DataError(f"the dataset is empty: {config!r}")
    return source
