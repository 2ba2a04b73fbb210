"""Next-token prediction where the assistant speaks."""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar

import torch
from torch import Tensor
from torch.nn import functional
from torch.utils.checkpoint import checkpoint

from triptych.family import ObjectiveConfig
from triptych.language.backbone import LanguageModel
from triptych.model.composed import MultimodalModel
from triptych.sequence.pack import Batch
from triptych.sequence.plan import IGNORE
from triptych.training.objectives.objective import Loss

CHUNK = 2048
"""Supervised tokens whose logits exist at one time: at a vocabulary of 50,000, 0.4 GB in float32."""


class NextTokenObjective:
    """Cross-entropy in float32; logits exist only at supervised positions, a chunk at a time."""

    splittable: ClassVar[bool] = True
    gathers: ClassVar[bool] = False

    def __init__(self, config: ObjectiveConfig | None = None, base: Path | None = None) -> None:
        pass

    def count(self, batch: Batch) -> int:
        """Number of supervised tokens."""
        return batch.supervised

    def __call__(self, model: MultimodalModel, batch: Batch) -> Loss:
        """Summed cross-entropy over the supervised tokens of a batch."""
        targets = batch.targets.to(model.device)
        supervised = targets != IGNORE
        return Loss(cross_entropy(model.language, model(batch)[supervised], targets[supervised]), int(supervised.sum()))


def cross_entropy(language: LanguageModel, hidden_ND: Tensor, targets_N: Tensor, chunk: int = CHUNK) -> Tensor:
    """Summed cross-entropy of hidden states `[N, D]` against ids `[N]`; memory does not grow with N × V."""

    def part(hidden: Tensor, targets: Tensor) -> Tensor:
        return functional.cross_entropy(language.logits(hidden).float(), targets, reduction="sum")

    if len(targets_N) <= chunk:
        return part(hidden_ND, targets_N)
    total = hidden_ND.new_zeros((), dtype=torch.float32)
    for hidden, targets in zip(torch.split(hidden_ND, chunk), torch.split(targets_N, chunk), strict=True):
        total = total + checkpoint(part, hidden, targets, use_reentrant=False)
    return total
