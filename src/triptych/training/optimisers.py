"""From a stage's word to the optimiser that updates its parameters."""

from __future__ import annotations

from typing import Any

import torch

from triptych.errors import RecipeError
from triptych.registry import CustomConfig, find, implementation
from triptych.training.config import StageConfig
from triptych.training.lamb import Lamb

Group = dict[str, Any]
"""Parameters with one rate and one decay: torch's keys, `part`, and `adapts` (whether they are matrices)."""


def build(stage: StageConfig, groups: list[Group]) -> torch.optim.Optimizer:
    """The optimiser of a stage.

    Args:
        stage: Which one.
        groups: What it updates.

    Raises:
        RecipeError: One's own class cannot be had, or does not take its options.
    """
    config = stage.optimiser
    if not isinstance(config, CustomConfig):
        made: torch.optim.Optimizer = implementation(config)(stage, groups)
        return made
    kind: Any = find("optimiser", config.kind, torch.optim.Optimizer)
    try:
        own: torch.optim.Optimizer = kind(_plain(groups), **config.options)
    except (TypeError, ValueError) as error:
        raise RecipeError(f"stages: optimiser {config.kind!r}: {error}") from error
    return own


def adamw(stage: StageConfig, groups: list[Group]) -> torch.optim.Optimizer:
    """Loshchilov and Hutter, 2019."""
    return torch.optim.AdamW(_plain(groups), betas=stage.betas, eps=stage.epsilon, fused=True)


def lamb(stage: StageConfig, groups: list[Group]) -> torch.optim.Optimizer:
    """You et al., 2020."""
    return Lamb(groups, betas=stage.betas, eps=stage.epsilon)


def _plain(groups: list[Group]) -> list[Group]:
    return [{key: value for key, value in group.items() if key != "adapts"} for group in groups]
