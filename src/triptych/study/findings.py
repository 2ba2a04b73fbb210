"""What `results.json` of a study holds."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, ValidationError

from triptych.errors import EvaluationError
from triptych.evaluate.results import Interval

FILE = "results.json"


class _Read(BaseModel):
    model_config = ConfigDict(frozen=True, extra="allow")


class Score(_Read):
    """One score of a variant.

    Args:
        interval: The mean over seeds with its 95 % interval over seeds and pictures.
        by_seed: Each seed's score.
        control: The same questions about another picture.
        chance: What the best constant answer scores.
        difference: This variant minus the best one, paired by seed and picture; None for the best itself.
    """

    interval: Interval
    by_seed: dict[int, float]
    control: Interval | None = None
    chance: float | None = None
    difference: Interval | None = None

    @property
    def shown(self) -> bool:
        """Whether the interval of the difference leaves out zero."""
        return self.difference is not None and (self.difference.low > 0 or self.difference.high < 0)


class Variant(_Read):
    """One variant; costs are means over seeds, but for the peak memory, which is the most."""

    name: str
    notes: str = ""
    changes: dict[str, Any] = {}
    scores: dict[str, Score] = {}
    failures: dict[int, str] = {}
    trained_parameters: int | None = None
    new_parameters: int | None = None
    tokens_per_picture: float | None = None
    sequence_per_picture: float | None = None
    samples_per_second: float | None = None
    samples: float | None = None
    seconds: float | None = None
    peak_memory_bytes: int | None = None
    steps: dict[str, int] = {}


class Findings(_Read):
    """A whole study. `scores` maps what was asked for (`scenes.naming`) to the metric; `best` to the best variant."""

    study: str
    title: str = ""
    date: str
    triptych: str
    commit: str | None = None
    hardware: dict[str, Any] = {}
    versions: dict[str, str] = {}
    minutes: float | None = None
    seeds: list[int]
    finished: int
    planned: int
    scores: dict[str, str]
    best: dict[str, str]
    variants: list[Variant]
    notes: list[str] = []

    @property
    def headline(self) -> str:
        """The score that decides."""
        return next(iter(self.scores))

    @property
    def ranked(self) -> list[Variant]:
        """Variants with results, the best first."""
        finished = [variant for variant in self.variants if variant.scores]
        return sorted(finished, key=lambda variant: -variant.scores[self.headline].interval.value)


def load_findings(folder: Path) -> Findings:
    """Read a study's `results.json`.

    Raises:
        EvaluationError: It is missing or malformed.
    """
    path = folder / FILE
    try:
        return Findings.model_validate_json(path.read_bytes())
    except OSError as error:
        raise EvaluationError(f"{path}: cannot be read ({error.strerror}); run the study first") from None
    except ValidationError as error:
        raise EvaluationError(f"{path}: not the results of a study: {error.errors()[0]['msg']}") from None


def dump_findings(findings: Findings) -> str:
    """As JSON text."""
    return json.dumps(findings.model_dump(mode="json"), indent=2, ensure_ascii=False) + "\n"
