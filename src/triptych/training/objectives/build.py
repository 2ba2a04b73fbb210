"""From the recipe's word to the objective."""

from __future__ import annotations

from pathlib import Path

from triptych.family import ObjectiveConfig
from triptych.registry import implementation
from triptych.training.objectives.objective import Objective


def build(config: ObjectiveConfig, base: Path | None = None) -> Objective:
    """The objective of a stage; relative paths in it start from `base`."""
    objective: Objective = implementation(config)(config, base)
    return objective
