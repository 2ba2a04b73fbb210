"""Aligning an adapter with the language model's token embeddings, without the language model in the loop.

    features ──► adapter ──► ẑ [B, T, D]                      p̂ [V, D] ◄── mean token embedding ◄── phrases
                                └──── cosines c [B, T, V] ────┘
                                          ├► soft maximum over positions s [B, V] ──► contrast both ways
                                          └► each position shows a phrase of its own picture, or nothing

The late interaction is that of FILIP (Yao et al., 2021) and ColBERT (Khattab and Zaharia, 2020), with a soft maximum.
"""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar

import torch
from torch import Tensor
from torch.nn import functional

from triptych.errors import DataError
from triptych.families.composed.objectives import PhraseAlignment
from triptych.language.backbone import LanguageModel
from triptych.model.composed import MultimodalModel
from triptych.sequence.pack import Batch
from triptych.training.objectives.objective import Loss


class PhraseAlignmentObjective:
    """The contrast between the pictures of a batch and their phrases (`annotations["phrases"]` of a conversation)."""

    splittable: ClassVar[bool] = False
    gathers: ClassVar[bool] = False

    def __init__(self, config: PhraseAlignment, base: Path | None = None) -> None:  # noqa: ARG002 - it names no files
        self.config = config

    def count(self, batch: Batch) -> int:
        """Pairs of a picture and one of its phrases."""
        return sum(len(phrases) for phrases in phrases_of(batch))

    def __call__(self, model: MultimodalModel, batch: Batch) -> Loss:
        """The contrast over all pairs of the batch."""
        phrases = phrases_of(batch)
        vocabulary = sorted(set().union(*phrases))
        if not vocabulary:
            raise DataError(
                "phrase_alignment: no conversation of the batch has phrases (annotations['phrases']); "
                "use it on data that brings them, such as scenes or captions"
            )
        number = {phrase: i for i, phrase in enumerate(vocabulary)}
        positive = torch.zeros(len(phrases), len(vocabulary), dtype=torch.bool, device=model.device)
        for picture, own in enumerate(phrases):
            positive[picture, [number[phrase] for phrase in own]] = True
        nothing = [self.config.nothing] if self.config.nothing is not None else []
        phrases_VD = embed_phrases(model.language, vocabulary + nothing)
        loss = contrast(model.adapt(batch, content=True), phrases_VD, positive, self.config)
        return Loss(loss * int(positive.sum()), int(positive.sum()))


def phrases_of(batch: Batch) -> list[list[str]]:
    """The distinct phrases of each medium of a batch, sorted."""
    phrases: list[set[str]] = [set() for _ in batch.media]
    for document in batch.conversations:
        for medium in document.media:
            phrases[medium].update(document.annotations.get("phrases", ()))
    return [sorted(own) for own in phrases]


def embed_phrases(language: LanguageModel, phrases: list[str]) -> Tensor:
    """Mean token embedding `[V, D]` of each phrase, written as it stands inside a sentence. Not trained here."""
    return torch.stack([language.embed_text(f" {phrase}").mean(dim=0) for phrase in phrases]).detach().float()


def contrast(adapted: list[Tensor], phrases_VD: Tensor, positive_BV: Tensor, config: PhraseAlignment) -> Tensor:
    """Mean loss over the positive pairs.

    Args:
        adapted: Per picture `[T, D]`; all of one length.
        phrases_VD: `[V, D]`, and one row more for `nothing` where the configuration has it.
        positive_BV: Whether a phrase is one of a picture's.
        config: Temperature, pull, nothing.
    """
    z = functional.normalize(torch.stack(adapted).float(), dim=-1)
    p = functional.normalize(phrases_VD, dim=-1)
    cosines = z @ p.T / config.temperature
    named = cosines[..., : positive_BV.shape[1]]
    found = named.logsumexp(dim=1)
    loss = _rank(found, positive_BV) + _rank(found.T, positive_BV.T)
    if config.pull:
        cosine = (named.softmax(dim=1) * named).sum(dim=1) * config.temperature
        loss = loss + config.pull * (1 - cosine)[positive_BV].mean()
    if config.nothing is not None:
        loss = loss + _explain(cosines, positive_BV, config)
    return loss


def _explain(cosines_BTV: Tensor, positive_BV: Tensor, config: PhraseAlignment) -> Tensor:
    """Each position must look like a phrase of its own picture or like nothing, and not like what is elsewhere."""
    own = functional.pad(positive_BV, (0, 1), value=True)[:, None]
    explained = cosines_BTV.masked_fill(~own, float("-inf"))
    loss = (cosines_BTV.logsumexp(dim=-1) - explained.logsumexp(dim=-1)).mean()
    if config.pull:
        shares = explained.softmax(dim=-1)
        cosine = (shares * cosines_BTV).sum(dim=-1) * config.temperature
        loss = loss + config.pull * (1 - cosine).mean()
    return loss


def _rank(scores: Tensor, positive: Tensor) -> Tensor:
    """Each positive of a row against the negatives of that row only, mean over the positives."""
    negatives = scores.masked_fill(positive, float("-inf")).logsumexp(dim=1, keepdim=True)
    return (torch.logaddexp(scores, negatives) - scores)[positive].mean()
