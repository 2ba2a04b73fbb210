"""Reading pictures with their texts or their classes."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeVar

from triptych.conversation import Conversation, Image
from triptych.data.reading import read_record
from triptych.errors import DataError, EvaluationError

if TYPE_CHECKING:
    from triptych.data.sources import Source

T = TypeVar("T")


@dataclass(frozen=True)
class Sample:
    """A picture of a source: its place there, its id, and the texts or the class that belong to it."""

    index: int
    id: str
    picture: Image
    texts: tuple[str, ...]


def read(
    source: Source, texts: Callable[[Conversation], tuple[str, ...]], limit: int | None, name: str, failed_share: float
) -> tuple[list[Sample], Mapping[str, int]]:
    """The samples of a source, and why others cannot be used.

    Raises:
        EvaluationError: More than `failed_share` of them, or all, cannot be used.
    """
    found: list[Sample] = []
    faults: Counter[str] = Counter()
    count = len(source) if limit is None else min(limit, len(source))
    for index in range(count):
        try:
            conversation = read_record(source, index)
            images = list(conversation.images)
            if len(images) != 1:
                raise DataError(f"{conversation.id}: {len(images)} pictures where one is needed")
            found.append(Sample(index, conversation.id or str(index), images[0], texts(conversation)))
        except DataError as error:
            faults[str(error)] += 1
    if sum(faults.values()) > failed_share * count or not found:
        raise EvaluationError(
            f"{name}: {sum(faults.values())} of {count} records cannot be used, more than the allowed share of "
            f"{failed_share:g}; the first reason: {next(iter(faults), 'there are none')}"
        )
    return found, faults


def texts_of(conversation: Conversation) -> tuple[str, ...]:
    """What is said about the picture, each once: all references where there are, else the assistant's turns."""
    references = conversation.annotations.get("references")
    said = references or [m.text.strip() for m in conversation.messages if m.role in ("assistant", "document")]
    found = tuple(text for text in dict.fromkeys(said) if text)
    if not found:
        raise DataError(f"{conversation.id}: nobody says anything about the picture")
    return found


def label_of(conversation: Conversation) -> tuple[str, ...]:
    """The class of the picture, alone in a tuple."""
    label = conversation.annotations.get("label")
    phrases = [label] if isinstance(label, str) else list(conversation.annotations.get("phrases") or ())
    if len(phrases) != 1:
        raise DataError(
            f"{conversation.id}: expected annotations['label'], or one entry in annotations['phrases'], found {phrases[:5]}"
        )
    return (str(phrases[0]),)
