"""From the recipe's word to the objective."""

from __future__ import annotations

from typing import assert_never

from triptych.training.config import NextToken, ObjectiveConfig, PhraseAlignment
from triptych.training.objectives.objective import Objective


def build(config: ObjectiveConfig) -> Objective:
    """The objective of a stage."""
    match config:
        case NextToken():
            from triptych.training.objectives.next_token import NextTokenObjective

            return NextTokenObjective()
        case PhraseAlignment():
            from triptych.training.objectives.phrase_alignment import PhraseAlignmentObjective

            return PhraseAlignmentObjective(config)
        case _:
            assert_never(config)
