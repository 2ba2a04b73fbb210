"""One comparison with a reference implementation."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import Tensor

BOUND = 1e-4
"""The largest absolute difference of two computations in float32 that are called equal."""


@dataclass(frozen=True)
class Check:
    """What was compared with what, and how far apart they are.

    Args:
        what: `Q-Former outputs`.
        reference: `transformers.Blip2QFormerModel`.
        difference: The largest absolute difference of any number.
        bound: Up to which the two are equal.
    """

    what: str
    reference: str
    difference: float
    bound: float = BOUND

    @property
    def equal(self) -> bool:
        """Whether the difference (not a number counts as infinite) is within the bound."""
        return self.difference <= self.bound


def largest_difference(ours: Tensor, theirs: Tensor) -> float:
    """The largest absolute difference of two tensors of one shape; ValueError where the shapes differ."""
    if ours.shape != theirs.shape:
        raise ValueError(f"shapes differ: {tuple(ours.shape)} and {tuple(theirs.shape)}")
    return float((ours.detach().double() - theirs.detach().double()).abs().max())
