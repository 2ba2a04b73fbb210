"""The learning rate as a function of the step."""

from __future__ import annotations

import math
from typing import Literal


def rate_factor(
    step: int,
    steps: int,
    warmup: float = 0.0,
    schedule: Literal["cosine", "linear", "constant"] = "cosine",
    final: float = 0.0,
) -> float:
    """The share of the peak rate at a step, in [0, 1].

    Args:
        step: From 0 to `steps - 1`.
        steps: Length of the stage.
        warmup: Share of the steps in which the factor rises linearly; the first step is never zero.
        schedule: How it falls afterwards (Loshchilov and Hutter, 2017, for the cosine, without restarts).
        final: Where it would arrive at `step == steps`.
    """
    rising = math.ceil(warmup * steps)
    if step < rising:
        return (step + 1) / (rising + 1)
    progress = (step - rising) / max(1, steps - rising)
    if schedule == "constant":
        return 1.0
    shape = 0.5 * (1 + math.cos(math.pi * progress)) if schedule == "cosine" else 1 - progress
    return final + (1 - final) * shape
