"""What training minimises."""

from triptych.training.objectives.build import build
from triptych.training.objectives.objective import Balanced, Loss, Objective

__all__ = ["Balanced", "Loss", "Objective", "build"]
