"""One comparison with a reference implementation."""

from __future__ import annotations

from dataclasses import dataclass

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
