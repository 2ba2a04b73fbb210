"""What training minimises."""

from triptych.training.objectives.build import build
from triptych.training.objectives.objective import Loss, Objective

__all__ = ["Loss", "Objective", "build"]
