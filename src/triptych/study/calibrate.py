"""How long a step of each variant takes, measured once, and the steps that a budget of time allows.

    for each variant:  train a few steps of each stage ─► median seconds of a step after the warm-up ─► steps

What is timed is what `seconds` in metrics.jsonl counts: reading, forward, backward, update. Loading the model and
encoding the pictures (once, into a cache that all runs share) are not part of the budget.
"""

from __future__ import annotations

import json
import shutil
import statistics
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

from triptych.environment import describe
from triptych.errors import EvaluationError, RecipeError
from triptych.files import write_atomically
from triptych.recipe import Recipe, dump_recipe
from triptych.study.config import BudgetConfig
from triptych.study.launch import Launch, complaint
from triptych.study.plan import PlannedRun, StudyPlan, budget_steps, with_steps
from triptych.study.state import read_state
from triptych.study.variants import fingerprint

FILE = "calibration.json"


class CalibrationFailed(EvaluationError):
    """A variant could not be trained even for a few steps."""


@dataclass(frozen=True)
class Calibrated:
    """What was measured of a variant.

    Args:
        seconds_per_step: By stage.
        steps: By stage; the same for all seeds.
    """

    seconds_per_step: dict[str, float]
    steps: dict[str, int]


def read_calibration(folder: Path) -> dict[str, Any]:
    """Entries of `calibration.json` by variant; none where there is no such file.

    Raises:
        EvaluationError: The file is malformed.
    """
    try:
        values = json.loads((folder / FILE).read_bytes())
        return dict(values["variants"])
    except FileNotFoundError:
        return {}
    except (OSError, ValueError, KeyError, TypeError, RecursionError) as error:
        raise EvaluationError(f"{folder / FILE}: not a calibration ({error!r}); remove it to calibrate anew") from error


def known(plan: StudyPlan, variant: str) -> Calibrated | None:
    """What was measured before, if it still holds.

    Raises:
        RecipeError: The variant or the budget was changed and there are runs made with the old one.
    """
    assert plan.study.budget is not None
    entry = read_calibration(plan.folder).get(variant)
    if entry is None:
        return None
    run = plan.of(variant)[0]
    if (entry["fingerprint"], entry["minutes"]) == (_fingerprint(run.recipe), plan.study.budget.minutes):
        return Calibrated(entry["seconds_per_step"], entry["steps"])
    states = {run.folder: read_state(run.folder) for run in plan.of(variant)}
    made = [folder for folder, state in states.items() if state is not None and state.state != "failed"]
    if made:
        raise RecipeError(
            f"{plan.folder}: the variant {variant!r} or the budget is not what {made[0].name} was made with, so its "
            f"steps would change; move {', '.join(str(folder) for folder in made)} away to make them anew, write "
            "another study with --output, or undo the change"
        )
    return None


def calibrate(plan: StudyPlan, variant: str, launch: Launch, tick: Callable[[], None]) -> Calibrated:
    """Time a variant's steps and write the result into `calibration.json`.

    Raises:
        CalibrationFailed: It cannot be trained.
    """
    budget = plan.study.budget
    assert budget is not None
    run = plan.of(variant)[0]
    folder = plan.folder / "calibration" / variant
    log = plan.folder / "calibration" / f"{variant}.log"
    shutil.rmtree(folder, ignore_errors=True)
    write_atomically(folder / "recipe.yaml", dump_recipe(_short(run.recipe, budget)))
    log.unlink(missing_ok=True)
    command = ["triptych", "train", str(folder / "recipe.yaml"), "--output", str(folder), "--resume"]
    status = launch(command, log, tick)
    if status != 0:
        raise CalibrationFailed(f"calibration: {complaint(log, 0, status)}")
    timed = step_seconds(folder / "metrics.jsonl", budget.warm_up)
    seconds = [timed[stage.name] for stage in run.recipe.stages]
    steps = budget_steps(run.recipe, seconds, 60 * budget.minutes)
    names = [stage.name for stage in run.recipe.stages]
    calibrated = Calibrated(dict(zip(names, seconds, strict=True)), dict(zip(names, steps, strict=True)))
    _record(plan, variant, run, calibrated)
    shutil.rmtree(folder, ignore_errors=True)
    return calibrated


def step_seconds(metrics: Path, warm_up: int) -> dict[str, float]:
    """Stage → median seconds between two steps, the first `warm_up` steps left out."""
    seconds: dict[str, list[float]] = {}
    try:
        for line in metrics.read_text(encoding="utf-8").splitlines():
            values = json.loads(line)
            if "seconds" in values:
                seconds.setdefault(str(values["stage"]), []).append(float(values["seconds"]))
    except (OSError, ValueError, KeyError, TypeError, RecursionError) as error:
        raise EvaluationError(
            f"{metrics}: no metrics of a run ({error!r}); remove the folder to calibrate anew"
        ) from error
    found = {}
    for stage, times in seconds.items():
        steps = [b - a for a, b in pairwise(times)][max(0, warm_up - 1) :]
        found[stage] = max(statistics.median(steps), 1e-4)
    return found


def apply(run: PlannedRun, calibrated: Calibrated) -> PlannedRun:
    """The run with the steps that the budget allows."""
    return run.with_steps([calibrated.steps[stage.name] for stage in run.recipe.stages])


def _short(recipe: Recipe, budget: BudgetConfig) -> Recipe:
    short = with_steps(recipe, [budget.calibration_steps] * len(recipe.stages))
    quiet = {"log_every": 1, "checkpoint_every": 10**6, "validate_every": None}
    return short.model_copy(update={"stages": [stage.model_copy(update=quiet) for stage in short.stages]})


def _record(plan: StudyPlan, variant: str, run: PlannedRun, calibrated: Calibrated) -> None:
    assert plan.study.budget is not None
    entry: Mapping[str, Any] = {
        "fingerprint": _fingerprint(run.recipe),
        "minutes": plan.study.budget.minutes,
        "seconds_per_step": calibrated.seconds_per_step,
        "steps": calibrated.steps,
        **{key: value for key, value in describe().items() if key in ("date", "hardware")},
    }
    entries = {**read_calibration(plan.folder), variant: entry}
    write_atomically(plan.folder / FILE, json.dumps({"variants": entries}, indent=2) + "\n")


def _fingerprint(recipe: Recipe) -> str:
    """Of a variant, whatever the seed."""
    return fingerprint(recipe, {"seed"})
