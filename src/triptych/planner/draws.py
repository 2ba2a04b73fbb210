"""What a stage draws: how many records, of which datasets, and which of them for the first time."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from triptych.planner.datasets import DatasetSize
from triptych.training.config import StageConfig


@dataclass(frozen=True)
class Draws:
    """The draws of a stage.

    Args:
        shares: Dataset → its share of the draws.
        steps: Optimiser steps.
        samples: Records drawn.
    """

    shares: Mapping[str, float]
    steps: int
    samples: int

    @classmethod
    def of(cls, stage: StageConfig, sizes: Mapping[str, DatasetSize]) -> Draws:
        """Those of a stage; `sizes` are of its datasets, at least."""
        shares = {name: weight / sum(stage.mixture.values()) for name, weight in stage.mixture.items()}
        records = sum(sizes[name].records or 0 for name in stage.mixture)
        steps = stage.steps or max(1, math.ceil((stage.epochs or 1) * records / stage.batch_size))
        return cls(shares, steps, steps * stage.batch_size)

    def mean(self, sizes: Mapping[str, DatasetSize], what: Callable[[DatasetSize], float]) -> float:
        """Of a draw."""
        return sum(share * what(sizes[name]) for name, share in self.shares.items())

    def distinct(self, sizes: Mapping[str, DatasetSize], known: set[str]) -> dict[str, float]:
        """Dataset → distinct records among its draws, which go through it in rounds; without those in `known`."""
        drawn = {name: self.samples * share for name, share in self.shares.items() if name not in known}
        return {name: min(draws, sizes[name].records or draws) for name, draws in drawn.items()}
