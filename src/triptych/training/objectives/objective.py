"""The interface between the loop and what it minimises."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar, Protocol, runtime_checkable

from torch import Tensor


@dataclass(frozen=True)
class Loss:
    """A sum over `count` terms; the loop divides the sums of a whole step by all its counts.

    Args:
        total: The sum, with its gradient.
        count: Of the terms.
        parts: Sums that `total` is made of, by name, for the log; without gradient.
    """

    total: Tensor
    count: int
    parts: Mapping[str, Tensor] = field(default_factory=dict)


class Objective(Protocol):
    """Something to minimise over batches of its own kind, by models of its own kind."""

    splittable: ClassVar[bool]
    """Whether the sum over micro-batches is the sum over the batch; a contrast among all its members is not."""

    gathers: ClassVar[bool]
    """Whether every process computes its own rows of the batch and sees those of all others."""

    def count(self, batch: Any) -> int:
        """How many terms the batch will contribute, known before anything is computed."""
        ...

    def __call__(self, model: Any, batch: Any) -> Loss:
        """The summed loss of a batch."""
        ...


@runtime_checkable
class Balanced(Protocol):
    """An objective with several terms, each a mean over something else than the others."""

    def balance(self, model: Any, parts: Sequence[Any]) -> None:
        """Told of all parts of a step, on every process, before the first of them is computed."""
        ...

    def figures(self) -> dict[str, float]:
        """The terms of the step over all processes, by name, for the log; every process has to ask."""
        ...
