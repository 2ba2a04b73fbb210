"""BLIP-2's first stage: contrast, matching and captions of a step's pairs (Li et al., 2023).

pictures ─► look ─► queries ─┬─► cosines with all texts, the nearest query counts ─► ITC
                             ├─► keys, values ─► text, causal ─────────────────────► ITG
texts ─────► alone ──────────┴─► hard negatives ─► queries and text together ──────► ITM
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import torch
from torch import Tensor
from torch.nn import functional

from triptych.families.qformer.config import Blip2Losses
from triptych.families.qformer.model import Blip2, shown_of
from triptych.sequence.pairs import PairBatch
from triptych.training.objectives.gather import gather_rows
from triptych.training.objectives.objective import Loss
from triptych.training.objectives.word_loss import word_loss

SPREAD = 1e-4
"""Added to the share of every candidate before negatives are drawn, as LAVIS does: the easiest may come, too."""


@dataclass(frozen=True)
class Everybody:
    """The pairs of all processes.

    Args:
        ids: `[N, L]`.
        lengths: `[N]`.
        features: `[N, T, D]`.
        start: Where those of this process begin.
    """

    ids: Tensor
    lengths: Tensor
    features: Tensor
    start: int


class Blip2Objective:
    """The sum of the three losses; each process computes its pairs and sees everybody's."""

    splittable: ClassVar[bool] = False
    gathers: ClassVar[bool] = True

    def __init__(self, config: Blip2Losses, base: Path | None = None) -> None:  # noqa: ARG002 - it names no files
        self.smoothing = config.label_smoothing
        self.weights = {name: config.weights.get(name, 1.0) for name in ("itc", "itm", "itg")}

    def count(self, batch: PairBatch) -> int:
        """Number of pairs."""
        return len(batch)

    def __call__(self, model: Blip2, batch: PairBatch) -> Loss:
        """The summed losses of the batch's pairs."""
        ids, lengths = batch.ids.to(model.device), batch.lengths.to(model.device)
        features = model.features(batch.pixels)
        seen = model.look(features)
        images, cache = model.read_pictures(seen)
        texts = model.read_texts(ids, lengths)
        both, start = gather_rows(torch.cat([images, texts[:, None]], dim=1))
        scale = model.logit_scale.exp()
        to_texts, to_images = scale * model.scores(images, both[:, -1]), scale * model.scores(both[:, :-1], texts).T
        parts: dict[str, Tensor] = {}
        if self.weights["itc"]:
            parts["itc"] = self._contrast(to_texts, to_images, start)
        if self.weights["itm"]:
            everybody = _gathered(ids, lengths, features, model.words.max_tokens)
            parts["itm"] = self._match(model, everybody, to_texts.detach(), to_images.detach(), seen)
        if self.weights["itg"]:
            parts["itg"] = self._caption(model, cache, ids, lengths)
        total = torch.stack([self.weights[name] * value for name, value in parts.items()]).sum()
        return Loss(total, len(batch), {name: value.detach() for name, value in parts.items()})

    def _contrast(self, to_texts: Tensor, to_images: Tensor, start: int) -> Tensor:
        """Both ways, summed over the pairs of this process."""
        places = torch.arange(start, start + len(to_texts), device=to_texts.device)
        ways = [
            functional.cross_entropy(logits, places, reduction="sum", label_smoothing=self.smoothing)
            for logits in (to_texts, to_images)
        ]
        return (ways[0] + ways[1]) / 2

    def _match(
        self,
        model: Blip2,
        everybody: Everybody,
        to_texts: Tensor,
        to_images: Tensor,
        seen: list[tuple[Tensor, Tensor] | None],
    ) -> Tensor:
        """Each pair, its text with a wrong picture and its picture with a wrong text; a third of their sum."""
        here = slice(everybody.start, everybody.start + len(to_texts))
        ids, lengths = everybody.ids[here], everybody.lengths[here]
        same = (ids[:, None] == everybody.ids[None]).all(dim=-1) & (lengths[:, None] == everybody.lengths[None])
        pictures, texts = (draw_negatives(logits, same, model.training) for logits in (to_images, to_texts))
        wrong = model.look(everybody.features[pictures])
        looks = [
            None if a is None or b is None else (torch.cat([a[0], b[0], a[0]]), torch.cat([a[1], b[1], a[1]]))
            for a, b in zip(seen, wrong, strict=True)
        ]
        longest = int(torch.maximum(lengths.max(), everybody.lengths[texts].max()))
        read = torch.cat([ids, ids, everybody.ids[texts]])[:, :longest]
        logits = model.match(looks, read, torch.cat([lengths, lengths, everybody.lengths[texts]]))
        labels = torch.zeros(len(read), dtype=torch.long, device=ids.device)
        labels[: len(ids)] = 1
        # Texts that every other pair has, too, have no negative; nothing is learned from what stands in its place.
        kept = torch.cat([torch.ones_like(lengths, dtype=torch.bool), *[~same.all(dim=1)] * 2])
        losses = functional.cross_entropy(logits, labels, reduction="none")
        return (losses * kept).sum() / 3

    def _caption(self, model: Blip2, cache: list[tuple[Tensor, Tensor]], ids: Tensor, lengths: Tensor) -> Tensor:
        """Cross-entropy of each next token, the mean over the tokens of all processes times the pairs of all."""
        states = model.write(cache, ids[:, :-1])
        shown = shown_of(ids, lengths)[:, 1:]
        loss = word_loss(*model.of_words(states[shown]), ids[:, 1:][shown], self.smoothing)
        everybody, _ = gather_rows((lengths - 1).float())
        return loss * len(everybody) / everybody.sum()


def draw_negatives(logits: Tensor, same: Tensor, training: bool) -> Tensor:
    """For each of M pairs, the place of a wrong one among N, likelier the more alike it looks.

    Args:
        logits: `[M, N]` similarities.
        same: `[M, N]`, true where the other's text is word for word one's own: those are no negatives.
        training: Whether to draw from the random numbers of the CPU; otherwise the draw is always the same.
    """
    shares = (logits.float().softmax(dim=1) + SPREAD).masked_fill(same, 0.0)
    shares = shares.masked_fill(same.all(dim=1, keepdim=True), 1.0).cpu()
    generator = None if training else torch.Generator().manual_seed(0)
    return torch.multinomial(shares, 1, generator=generator)[:, 0].to(logits.device)


def _gathered(ids: Tensor, lengths: Tensor, features: Tensor, longest: int) -> Everybody:
    """The texts, as wide as the longest may be, and the features of all processes."""
    wide = functional.pad(ids, (0, longest - ids.shape[1]))
    all_ids, start = gather_rows(wide.masked_fill(~shown_of(wide, lengths), 0))
    all_lengths, _ = gather_rows(lengths)
    all_features, _ = gather_rows(features)
    return Everybody(all_ids, all_lengths, all_features, start)
