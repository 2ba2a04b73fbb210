"""Losses of dual encoders over all pairs of a step: symmetric InfoNCE, and SigLIP's sigmoid.

    pixels ─► [M, E] ─┐                  ┌─► rows of this process against the columns of all
                      ├─► gather [N, E] ─┤
    ids ────► [M, E] ─┘                  └─► and back

With a `chunk`, neither the activations of more than so many pairs nor more rows of cosines exist at one time: they are
computed again for the gradient (gradient caching, Gao et al., 2021), which therefore is that of the whole batch.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import ClassVar

import torch
from torch import Tensor
from torch.nn import functional
from torch.utils.checkpoint import checkpoint

from triptych.families.dual.config import Contrastive, Sigmoid
from triptych.families.dual.model import DualEncoder
from triptych.sequence.pairs import PairBatch
from triptych.training.objectives.gather import gather_rows
from triptych.training.objectives.objective import Loss

Rows = Callable[[Tensor, Tensor, Tensor], Tensor]
"""Directions `[B, E]` of one side, `[N, E]` of the other, places `[B]` of the matches → summed loss."""


class ContrastiveObjective:
    """CLIP's loss; each process computes its pairs and sees everybody's."""

    splittable: ClassVar[bool] = False
    gathers: ClassVar[bool] = True

    def __init__(self, config: Contrastive, base: Path | None = None) -> None:  # noqa: ARG002 - it names no files
        self.chunk = config.chunk

    def count(self, batch: PairBatch) -> int:
        """Number of pairs."""
        return len(batch)

    def __call__(self, model: DualEncoder, batch: PairBatch) -> Loss:
        """The summed loss of the batch's pairs."""
        images, texts = directions(model, batch, self.chunk)
        total = info_nce(images, texts, model.logit_scale.exp(), self.chunk)
        return Loss(total, len(batch))


class SigmoidObjective:
    """SigLIP's loss; each process computes its pictures and sees everybody's texts."""

    splittable: ClassVar[bool] = False
    gathers: ClassVar[bool] = True

    def __init__(self, config: Sigmoid, base: Path | None = None) -> None:  # noqa: ARG002 - it names no files
        self.chunk = config.chunk

    def count(self, batch: PairBatch) -> int:
        """Number of pairs."""
        return len(batch)

    def __call__(self, model: DualEncoder, batch: PairBatch) -> Loss:
        """The summed loss of the batch's pictures with all texts."""
        images, texts = directions(model, batch, self.chunk)
        assert model.logit_bias is not None  # the recipe makes sure of it
        return Loss(sigmoid_loss(images, texts, model.logit_scale.exp(), model.logit_bias, self.chunk), len(batch))


def directions(model: DualEncoder, batch: PairBatch, chunk: int | None = None) -> tuple[Tensor, Tensor]:
    """Directions `[M, E]` of pictures and texts; with a chunk, activations are computed again for the gradient."""
    if chunk is None or len(batch) <= chunk or not torch.is_grad_enabled():
        step = chunk or max(1, len(batch))
        parts = batch.split(step)
        found = [(model.encode_pixels(part.pixels), model.encode_ids(part.ids, part.lengths)) for part in parts]
    else:
        found = [
            (
                _again(model.encode_pixels, part.pixels),
                _again(model.encode_ids, part.ids, part.lengths),
            )
            for part in batch.split(chunk)
        ]
    images, texts = zip(*found, strict=True)
    return torch.cat(images), torch.cat(texts)


def info_nce(images: Tensor, texts: Tensor, scale: Tensor, chunk: int | None = None) -> Tensor:
    """Symmetric InfoNCE, summed over the pairs of this process: (picture to texts + text to pictures) / 2."""
    (all_images, all_texts), places = _all(images, texts)

    def rows(mine: Tensor, others: Tensor, matches: Tensor) -> Tensor:
        return functional.cross_entropy(scale * mine @ others.T, matches, reduction="sum")

    return (_by_rows(rows, images, all_texts, places, chunk) + _by_rows(rows, texts, all_images, places, chunk)) / 2


def sigmoid_loss(images: Tensor, texts: Tensor, scale: Tensor, bias: Tensor, chunk: int | None = None) -> Tensor:
    """SigLIP's loss, summed over the pictures of this process and all texts."""
    (_, all_texts), places = _all(images, texts)

    def rows(mine: Tensor, others: Tensor, matches: Tensor) -> Tensor:
        logits = scale * mine @ others.T + bias
        signs = torch.full_like(logits, -1.0)
        signs[torch.arange(len(matches), device=matches.device), matches] = 1.0
        return -functional.logsigmoid(signs * logits).sum()

    return _by_rows(rows, images, all_texts, places, chunk)


def _all(images: Tensor, texts: Tensor) -> tuple[tuple[Tensor, Tensor], Tensor]:
    """Both sides of all processes (in one exchange, so that its order is the same everywhere), and where ours are."""
    everybody, start = gather_rows(torch.stack([images, texts], dim=1))
    places = torch.arange(start, start + len(images), device=images.device)
    return (everybody[:, 0], everybody[:, 1]), places


def _by_rows(rows: Rows, mine: Tensor, others: Tensor, places: Tensor, chunk: int | None) -> Tensor:
    if chunk is None or len(mine) <= chunk:
        return rows(mine, others, places)
    total = mine.new_zeros(())
    for part, matches in zip(torch.split(mine, chunk), torch.split(places, chunk), strict=True):
        total = total + _again(rows, part, others, matches)
    return total


def _again(function: Callable[..., Tensor], *arguments: Tensor) -> Tensor:
    """The function's value; for the gradient it is computed again, with the same random numbers."""
    found: Tensor = checkpoint(function, *arguments, use_reentrant=False)
    return found
