"""Pointing by embedding (LISA: Lai et al., 2024): tokens, and the boxes and masks that hidden states become.

ids … dog [SEG] ─► language model ─► hidden [R, L, D] ─┬─► cross-entropy of the next token
                   the states that predict [SEG] [K, D] └─► decoders ─► L1, GIoU, cross-entropy, Dice
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import torch
from torch import Tensor

from triptych import distributed
from triptych.decoders import losses
from triptych.decoders.regions import Decoded
from triptych.decoders.targets import Targets, seen
from triptych.errors import TrainingError
from triptych.families.composed.next_token import cross_entropy
from triptych.families.composed.objectives import Regions
from triptych.model.composed import MultimodalModel
from triptych.model.pointing import RegionPanel
from triptych.sequence.pack import Batch, Pointing
from triptych.sequence.plan import IGNORE
from triptych.training.objectives.objective import Loss

TERMS = ("token_loss", "box_l1", "box_giou", "mask_dice", "mask_cross_entropy", "mask_quality")
"""The names of the losses in the log."""


@dataclass(frozen=True)
class Counts:
    """What the means of a step are over: supervised tokens, answered regions that have a box, and those with a mask.

    A region has no box where nothing of it is left in the square that the encoder sees.
    """

    tokens: int
    boxes: int
    masks: int

    @classmethod
    def of(cls, model: MultimodalModel, parts: Sequence[Batch]) -> Counts:
        """Of all parts of a step together.

        Raises:
            TrainingError: The model has no decoders of regions.
        """
        preparation = panel_of(model).preparation
        answered = [at.region for part in parts for at in supervised(part)]
        boxes = sum(not seen(region, preparation).is_degenerate for region in answered)
        masks = sum(region.mask is not None for region in answered)
        return cls(sum(part.supervised for part in parts), boxes, masks)


class RegionsObjective:
    """Cross-entropy per supervised token, plus losses per region, each weighted as a mean over the whole step."""

    splittable: ClassVar[bool] = True
    gathers: ClassVar[bool] = False

    def __init__(self, config: Regions, base: Path | None = None) -> None:  # noqa: ARG002 - it names no files
        self.config = config
        self.step: Counts | None = None
        self._sums: dict[str, float] = {}
        self._device = torch.device("cpu")

    def balance(self, model: MultimodalModel, parts: Sequence[Batch]) -> None:
        """Told of all parts of a step before the first is computed: the means are over all of them."""
        self.step = Counts.of(model, parts)
        self._sums, self._device = {}, model.device

    def figures(self) -> dict[str, float]:
        """The mean losses of the step so far over all ranks, by name, unweighted."""
        # All terms in one order, and how many ranks have each: a rank whose rows hold no region has none of its own.
        shares = [(self._sums.get(name, 0.0), float(name in self._sums)) for name in TERMS]
        both = torch.tensor(shares, dtype=torch.float32, device=self._device)
        distributed.sum_over_ranks([both])
        return {name: total for name, (total, ranks) in zip(TERMS, both.tolist(), strict=True) if ranks}

    def count(self, batch: Batch) -> int:
        """Number of supervised tokens."""
        return batch.supervised

    def __call__(self, model: MultimodalModel, batch: Batch) -> Loss:
        """The summed loss of a batch; regions count as many tokens as there are for each in the step."""
        config = self.config
        step = self.step if self.step is not None else Counts.of(model, [batch])
        targets = batch.targets.to(model.device)
        taught = targets != IGNORE
        hidden = model(batch)
        said = cross_entropy(model.language, hidden[taught], targets[taught])
        self._note("token_loss", said, step.tokens)
        total = config.tokens * said
        answered = supervised(batch)
        if answered:
            decoded, truth = decode(model, batch, hidden, answered)
            for name, weight, loss, kept, count in self._losses(decoded, truth, step):
                if weight and count and bool(kept.any()):
                    part = (loss * kept).sum()
                    self._note(name, part, count)
                    total = total + weight * part * (step.tokens / count)
        return Loss(total, batch.supervised)

    def _losses(self, decoded: Decoded, truth: Targets, step: Counts) -> list[tuple[str, float, Tensor, Tensor, int]]:
        """Name, weight, loss per region `[K]`, which regions it is about, and how many of those the step has."""
        config, found = self.config, []
        if decoded.boxes is not None:
            l1, giou = losses.box_l1(decoded.boxes, truth.boxes), losses.box_giou(decoded.boxes, truth.boxes)
            found += [
                ("box_l1", config.box_l1, l1, truth.has_box, step.boxes),
                ("box_giou", config.box_giou, giou, truth.has_box, step.boxes),
            ]
        if decoded.masks is not None and decoded.quality is not None:
            masks, wanted = decoded.masks, truth.masks
            found += [
                ("mask_dice", config.mask_dice, losses.dice(masks, wanted), truth.has_mask, step.masks),
                (
                    "mask_cross_entropy",
                    config.mask_cross_entropy,
                    losses.mask_cross_entropy(masks, wanted),
                    truth.has_mask,
                    step.masks,
                ),
            ]
            if config.mask_quality:
                error = losses.quality(decoded.quality, masks, wanted)
                found.append(("mask_quality", config.mask_quality, error, truth.has_mask, step.masks))
        return found

    def _note(self, name: str, total: Tensor, count: int) -> None:
        self._sums[name] = self._sums.get(name, 0.0) + float(total.detach()) / max(1, count)


def panel_of(model: MultimodalModel) -> RegionPanel:
    """The model's decoders of regions; TrainingError where it has none."""
    if model.regions is None:
        raise TrainingError("the objective `regions` needs `model.regions` of `kind: embedding`")
    return model.regions


def supervised(batch: Batch) -> list[Pointing]:
    """The regions of a batch whose tokens are supervised: those in answers."""
    return [at for at in batch.regions if at.position > 0 and int(batch.targets[at.row, at.position - 1]) != IGNORE]


def decode(
    model: MultimodalModel, batch: Batch, hidden_RLD: Tensor, answered: Sequence[Pointing]
) -> tuple[Decoded, Targets]:
    """What the states that predict the regions' tokens are decoded to, and the truth."""
    assert model.regions is not None
    media = list(dict.fromkeys(at.medium for at in answered))
    picture = model.region_picture(batch, media)
    rows = torch.tensor([at.row for at in answered], device=model.device)
    places = torch.tensor([at.position - 1 for at in answered], device=model.device)
    owner = torch.tensor([media.index(at.medium) for at in answered], device=model.device)
    truth = model.regions.targets([at.region for at in answered])
    moved = Targets(*(getattr(truth, name).to(model.device) for name in ("boxes", "masks", "has_box", "has_mask")))
    decoded: Decoded = model.regions.decoder(hidden_RLD[rows, places], picture, owner)
    return decoded, moved
