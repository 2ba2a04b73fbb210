"""How a benchmark is run, beside what its task file says."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from triptych.evaluate.contamination import TrainingPictures

if TYPE_CHECKING:
    from triptych.generate.config import Responder


@dataclass(frozen=True)
class Options:
    """How a benchmark is run.

    Args:
        data: The data folder.
        limit: At most this many questions, whole groups and pictures, spread over the dataset.
        control: Ask everything again with another picture.
        shots: Solved examples before each question, from pictures that are then not asked about.
        likelihood: Choice questions by how likely their options are, instead of by what is written: `letter` or `text`.
        java: Caption scores by pycocoevalcap's Java programs, too.
        judge: Answers of judge models come from here.
        judge_name: The judge's, which verdicts carry: those of another are asked for again.
        fresh: Forget earlier answers.
        progress: Show a bar.
        trained: The pictures that the model was trained with, to be recognised among those of the benchmark.
    """

    data: Path | None = None
    limit: int | None = None
    control: bool = False
    shots: int = 0
    likelihood: str = ""
    java: bool = False
    judge: Responder | None = None
    judge_name: str = ""
    fresh: bool = False
    progress: bool = True
    trained: TrainingPictures | None = None
    seed: int = 0
    failed_share: float = 0.05
