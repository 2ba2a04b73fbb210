"""Loading pairs: which pictures and texts step k trains on.

    mixture.draw(n) ──► source[i] ──► its picture and one of its texts ──► pixels or cached features, ids ──► PairBatch
                            └────────────────┴──► ledger, when one of them refuses

A step's data is a pure function of its number, so resuming needs nothing but that number.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from triptych.conversation import Conversation, Image
from triptych.data.features import FeatureCache
from triptych.data.loader import Draws, Event, StepData
from triptych.data.mixture import Mixture
from triptych.data.sources import Source
from triptych.errors import DataError
from triptych.sequence.pack import Document
from triptych.sequence.pairs import PairBatch, Words
from triptych.sequence.plan import Refusal


@dataclass(frozen=True)
class PairReader:
    """Turns draws into pairs. It is what worker processes run.

    Args:
        sources: Datasets by name.
        mixture: Which record comes when.
        batch_size: Pairs per step.
        prepare: Picture → pixels; raises `DataError`.
        words: Texts → ids.
        texts: Whether texts are needed; without, a picture alone is a pair.
        cache: Features of a frozen encoder, which a batch then holds instead of pixels; those of every picture of the
            stage are in it before its first step.
    """

    sources: Mapping[str, Source]
    mixture: Mixture
    batch_size: int
    prepare: Callable[[Image], Tensor]
    words: Words
    texts: bool = True
    cache: FeatureCache | None = None

    @property
    def caches(self) -> Mapping[str, FeatureCache | None]:
        """See `StepReader.caches`."""
        return {"image": self.cache}

    def __call__(self, step: int) -> StepData:
        """The data of a step, a pure function of its number."""
        found: list[tuple[Image, Tensor, str, Document]] = []
        events: list[Event] = []
        draws = Draws(self.sources, self.mixture, self.batch_size)
        for dataset, record, (picture, pixels, text, facts) in draws.read(step, events, self._pair):
            row = len(found)
            found.append((picture, pixels, text, Document(row, record, facts, (row,), dataset)))
        if not found:
            return StepData(None, tuple(events))
        media, pixels_, texts, documents = zip(*found, strict=True)
        ids, lengths = self.words(texts)
        return StepData(PairBatch(torch.stack(pixels_), ids, lengths, media, texts, documents), tuple(events))

    def _pair(self, number: int, conversation: Conversation) -> tuple[Image, Tensor, str, Mapping[str, Any]]:
        """The picture, its pixels or features, one of its texts, and what is known about it."""
        picture = picture_of(conversation)
        text = drawn(texts_of(conversation), conversation.id, number) if self.texts else ""
        pixels = self.prepare(picture) if self.cache is None else self._cached(picture)
        return picture, pixels, text, conversation.annotations

    def _cached(self, picture: Image) -> Tensor:
        """Features `[T, D]`, as they were written."""
        assert self.cache is not None
        features = self.cache.get(picture.content_hash)
        if features is None:
            self.prepare(picture)  # most often it says why it could not be encoded
            raise DataError(
                f"{picture}: its features are not in {self.cache.folder}; was the folder deleted meanwhile?"
            )
        return features


def picture_of(conversation: Conversation) -> Image:
    """The picture of a conversation.

    Raises:
        Refusal: It has none, or several, of which a pair would be half the truth.
    """
    images = list(conversation.images)
    if len(images) != 1:
        raise Refusal("no pair", f"{conversation.id}: a pair has one picture, this conversation has {len(images)}")
    return images[0]


def texts_of(conversation: Conversation) -> list[str]:
    """What is said about the picture: the assistant's turns, or a document's text, each once.

    Raises:
        Refusal: Nothing is said.
    """
    speaks = [message.text.strip() for message in conversation.messages if message.role in ("assistant", "document")]
    found = [text for text in dict.fromkeys(speaks) if text]
    if not found:
        raise Refusal("no pair", f"{conversation.id}: nobody says anything about the picture")
    return found


def drawn(texts: Sequence[str], name: str, number: int) -> str:
    """One of several texts, which depends on the draw alone: another epoch may take another."""
    if len(texts) == 1:
        return texts[0]
    spread = int.from_bytes(hashlib.blake2b(repr((name, number)).encode(), digest_size=8).digest())
    return texts[spread % len(texts)]
