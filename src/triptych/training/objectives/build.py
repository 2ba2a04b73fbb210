"""From the recipe's word to the objective."""

from __future__ import annotations

from pathlib import Path
from typing import assert_never

from triptych.training.config import (
    Blip2Losses,
    Contrastive,
    DetectionLoss,
    MaskedImage,
    NextToken,
    ObjectiveConfig,
    PhraseAlignment,
    Regions,
    Sigmoid,
)
from triptych.training.objectives.objective import Objective


def build(config: ObjectiveConfig, base: Path | None = None) -> Objective:
    """The objective of a stage; relative paths in it start from `base`."""
    match config:
        case NextToken():
            from triptych.training.objectives.next_token import NextTokenObjective

            return NextTokenObjective()
        case Regions():
            from triptych.training.objectives.regions import RegionsObjective

            return RegionsObjective(config)
        case PhraseAlignment():
            from triptych.training.objectives.phrase_alignment import PhraseAlignmentObjective

            return PhraseAlignmentObjective(config)
        case Contrastive():
            from triptych.training.objectives.paired import ContrastiveObjective

            return ContrastiveObjective(config)
        case Sigmoid():
            from triptych.training.objectives.paired import SigmoidObjective

            return SigmoidObjective(config)
        case MaskedImage():
            from triptych.training.objectives.masked_image import MaskedImageObjective

            return MaskedImageObjective(config, base)
        case Blip2Losses():
            from triptych.training.objectives.blip2 import Blip2Objective

            return Blip2Objective(config)
        case DetectionLoss():
            from triptych.training.objectives.detection import DetectionObjective

            return DetectionObjective(config)
        case _:
            assert_never(config)
