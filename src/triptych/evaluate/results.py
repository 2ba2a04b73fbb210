"""`results.json`: what an evaluation found, with everything needed to understand and repeat it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, ValidationError

from triptych.errors import EvaluationError
from triptych.files import write_atomically

RESULTS_FILE = "results.json"


class _Read(BaseModel):
    """Immutable; keys that a later version may have written are kept."""

    model_config = ConfigDict(frozen=True, extra="allow")


class Interval(_Read):
    """A score with the ends of its 95 % interval (percentile bootstrap over pictures), over `n` questions."""

    value: float
    low: float
    high: float
    n: int

    def __str__(self) -> str:
        return f"{self.value:.3f} [{self.low:.3f}, {self.high:.3f}]"


class Unparsed(_Read):
    """Answers in which no parser found anything: how many, which share, the share per kind of question, and why, by number."""

    count: int
    share: float
    by_kind: dict[str, float] = {}
    reasons: dict[str, int] = {}


class Baseline(_Read):
    """Scores of a baseline measured in the same run, and the model's score minus the baseline's (paired)."""

    metrics: dict[str, Interval]
    difference: dict[str, Interval]


class RuleResult(_Read):
    """The same answers as another rule reads and scores them; `official` marks the benchmark's own."""

    metrics: dict[str, Interval]
    unparsed: Unparsed
    official: bool = False


class TaskResult(_Read):
    """What one task found.

    Scores are in [0, 1] (CIDEr-D in its natural scale, 0 to 10). `control` holds the same scores for the same questions
    about another picture; `chance` what the best constant answer scores; `failed` the questions that could not be
    asked, by reason (they count as unparsed), and of a benchmark the records that could not be read. `rules` holds what official scripts make of the same answers; `facts`
    where a benchmark comes from, hashes of its prompt and dataset, and which pictures were seen in training.
    """

    kind: str
    dataset: str
    samples: int
    questions: int
    prompt: str
    parser: dict[str, str]
    generation: dict[str, Any]
    seconds: float
    questions_per_second: float
    metrics: dict[str, Interval]
    control: dict[str, Interval] = {}
    unparsed: Unparsed
    chance: dict[str, float] = {}
    baselines: dict[str, Baseline] = {}
    failed: dict[str, int] = {}
    fingerprint: str = ""
    rules: dict[str, RuleResult] = {}
    facts: dict[str, Any] = {}


class Results(_Read):
    """All tasks of a run."""

    run: str
    triptych: str
    date: str
    hardware: dict[str, Any]
    versions: dict[str, str]
    commit: str | None = None
    model: dict[str, Any] = {}
    tasks: dict[str, TaskResult] = {}


def load_results(path: Path) -> Results:
    """Read `results.json`, or the one of a run folder.

    Raises:
        EvaluationError: It is missing, is no JSON, or is not a results file.
    """
    path = path / RESULTS_FILE if path.is_dir() else path
    try:
        return Results.model_validate_json(path.read_bytes())
    except FileNotFoundError as error:
        run = path.parent if path.name == RESULTS_FILE else path
        raise EvaluationError(f"{run}: there are no results; `triptych evaluate {run}` makes them") from error
    except OSError as error:
        raise EvaluationError(f"{path}: cannot be read ({error.strerror})") from error
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"]) or "the file"
        raise EvaluationError(f"{path}: not a results file: {where}: {first['msg']}") from error


def save_results(results: Results, path: Path) -> Path:
    """Write `results.json` into a run folder (or to that very path), atomically; returns the path."""
    path = path / RESULTS_FILE if path.is_dir() else path
    write_atomically(path, json.dumps(results.model_dump(mode="json"), indent=2, ensure_ascii=False) + "\n")
    return path


def record_results(run: Path, tasks: Mapping[str, TaskResult], model: Mapping[str, Any]) -> Results:
    """Put the results of tasks into the `results.json` of a run folder, beside those of other tasks.

    Results of another model (another fingerprint: the run was trained further) are dropped.
    """
    from triptych.environment import describe

    kept: dict[str, TaskResult] = {}
    if (run / RESULTS_FILE).exists():
        before = load_results(run)
        if before.model.get("fingerprint") == model.get("fingerprint"):
            kept = before.tasks
    environment = describe()
    results = Results(
        run=run.resolve().name,
        triptych=environment["triptych"],
        date=environment["date"],
        hardware=environment["hardware"],
        versions=environment["versions"],
        commit=environment["commit"],
        model=dict(model),
        tasks={**kept, **tasks},
    )
    save_results(results, run)
    return results
