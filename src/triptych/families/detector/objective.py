"""Learning to detect: which cell says which phrase, where its box is, whether it is an object at all.

A thing is shown by the cells whose centres lie in the middle of its box, and by the one that its own centre lies in; the
rest of its box is ignored. Focal loss (Lin et al., 2017) for phrases and objectness over all cells, L1 and GIoU
(Rezatofighi et al., 2019) for the boxes of the cells that show something, with the weights of DETR.
"""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar, NamedTuple

import torch
from torch import Tensor
from torch.nn import functional

from triptych.decoders.geometry import centre_size, corners, generalised_iou
from triptych.errors import DataError
from triptych.families.detector.batch import DetectionBatch
from triptych.families.detector.config import DetectionLoss
from triptych.families.detector.model import OpenVocabularyDetector
from triptych.training.objectives.objective import Loss


class Assignment(NamedTuple):
    """What the cells of one picture should say.

    Args:
        box: `[C]` number of the box that each cell shows, -1 where none.
        weight: `[C]` one over the number of cells that show the same box; 0 where none.
        ignored: `[C, K]` whether a cell lies in a box that it does not show.
    """

    box: Tensor
    weight: Tensor
    ignored: Tensor


class DetectionObjective:
    """The three losses of a detector, per box."""

    splittable: ClassVar[bool] = False
    gathers: ClassVar[bool] = False

    def __init__(self, config: DetectionLoss, base: Path | None = None) -> None:  # noqa: ARG002 - it names no files
        self.config = config

    def count(self, batch: DetectionBatch) -> int:
        """Number of boxes."""
        return batch.supervised

    def __call__(self, model: OpenVocabularyDetector, batch: DetectionBatch) -> Loss:
        """The summed losses of the batch's boxes."""
        config, generic = self.config, self.config.generic
        names = batch.vocabulary
        if not names:
            raise DataError("detection: no picture of the batch has a box")
        phrases = names + ([generic] if generic is not None and generic not in names else [])
        answers = model(model.features(batch), phrases)
        number = {phrase: i for i, phrase in enumerate(phrases)}
        rows, columns = (side * model.heads.cells.fineness for side in model.heads.cells.grid)
        total = answers.boxes.new_zeros(())
        for i, own in enumerate(batch.names):
            boxes = batch.boxes[i].to(model.device)
            found = assign(boxes, rows, columns)
            says = torch.zeros(len(own), len(phrases), device=model.device)
            says[range(len(own)), [number[name] for name in own]] = 1
            if generic is not None:
                says[:, number[generic]] = 1
            shown = found.box >= 0
            truth = torch.zeros_like(answers.logits[i])
            truth[shown] = says[found.box[shown]]
            ignored = (found.ignored.float() @ says > 0) & (truth == 0)
            weight = torch.where(truth > 0, found.weight[:, None], (~ignored).float())
            total = total + config.phrases * (focal(answers.logits[i], truth, config) * weight).sum()
            near = found.ignored.any(dim=1) & ~shown
            weight = torch.where(shown, found.weight, (~near).float())
            total = total + config.objectness * (focal(answers.objectness[i], shown.float(), config) * weight).sum()
            guess, wanted = answers.boxes[i][shown], boxes[found.box[shown]]
            l1 = (guess - centre_size(wanted)).abs().sum(dim=-1)
            apart = 1 - generalised_iou(corners(guess), wanted, guess[:, 2:].prod(dim=-1))
            total = total + (found.weight[shown] * (config.l1 * l1 + config.giou * apart)).sum()
        return Loss(total, batch.supervised)


def assign(boxes: Tensor, rows: int, columns: int) -> Assignment:
    """Which cell of a grid shows which of the boxes `[K, 4]` (corners, as shares of the square); small boxes come first."""
    y, x = torch.meshgrid((torch.arange(rows) + 0.5) / rows, (torch.arange(columns) + 0.5) / columns, indexing="ij")
    x, y = x.flatten().to(boxes.device), y.flatten().to(boxes.device)
    box = torch.full((rows * columns,), -1, dtype=torch.long, device=boxes.device)
    inside = (
        (x[:, None] > boxes[:, 0])
        & (x[:, None] < boxes[:, 2])
        & (y[:, None] > boxes[:, 1])
        & (y[:, None] < boxes[:, 3])
    )
    centres = (boxes[:, :2] + boxes[:, 2:]) / 2
    sizes = boxes[:, 2:] - boxes[:, :2]
    middle = ((x[:, None] - centres[:, 0]).abs() < sizes[:, 0] / 4) & (
        (y[:, None] - centres[:, 1]).abs() < sizes[:, 1] / 4
    )
    own = (centres[:, 1] * rows).long().clamp(0, rows - 1) * columns + (centres[:, 0] * columns).long().clamp(
        0, columns - 1
    )
    order = sizes.prod(dim=1).argsort(descending=True)
    for k in order.tolist():  # the smaller a box the later, so that it is not hidden by one behind it
        box[middle[:, k]] = k
    for k in order.tolist():
        box[own[k]] = k
    cells = torch.bincount(box[box >= 0], minlength=len(boxes)).clamp(min=1)
    weight = torch.where(box >= 0, 1 / cells[box.clamp(min=0)], 0.0)
    ignored = inside.clone()
    shown = box >= 0
    ignored[shown, box[shown]] = False
    return Assignment(box, weight, ignored)


def focal(logits: Tensor, truth: Tensor, config: DetectionLoss) -> Tensor:
    """Focal loss of each logit."""
    loss = functional.binary_cross_entropy_with_logits(logits.float(), truth, reduction="none")
    chance = logits.float().sigmoid()
    missed = truth * (1 - chance) + (1 - truth) * chance
    balance = truth * config.alpha + (1 - truth) * (1 - config.alpha)
    return balance * missed**config.gamma * loss
