"""The interface between the loop and what it minimises."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Protocol

from torch import Tensor

from triptych.model.composed import MultimodalModel
from triptych.sequence.pack import Batch


@dataclass(frozen=True)
class Loss:
    """A sum over `count` terms; the loop divides the sums of a whole step by all its counts."""

    total: Tensor
    count: int


class Objective(Protocol):
    """Something to minimise over batches."""

    splittable: ClassVar[bool]
    """Whether the sum over micro-batches is the sum over the batch; a contrast among all its members is not."""

    def count(self, batch: Batch) -> int:
        """How many terms the batch will contribute, known before anything is computed."""
        ...

    def __call__(self, model: MultimodalModel, batch: Batch) -> Loss:
        """The summed loss of a batch."""
        ...
