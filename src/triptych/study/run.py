"""Running a study: every variant with every seed, resumable at any moment.

calibrate variants ─► for each run: train ─► evaluate ─► measure ─► results.json, table.md, study.png, report.html
                          └ each a process; finished runs are kept, failed ones noted, the study goes on

studies/NAME/
  study.yaml           what was asked for            calibration.json    seconds per step, steps per variant
  runs/VARIANT-SEED/   ordinary run folders, with study.json (state, fingerprint), log.txt and measured.json
  results.json, table.md, study.png, report.html
"""

from __future__ import annotations

import json
import shutil
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal, Protocol

from triptych.errors import RecipeError, TriptychError
from triptych.files import write_atomically
from triptych.recipe import dump_recipe, load_recipe
from triptych.recipe.messages import unknown_name
from triptych.study import calibrate as calibration
from triptych.study import measure
from triptych.study.launch import Launch, Processes, complaint, locked
from triptych.study.plan import PlannedRun, StudyPlan
from triptych.study.state import State, read_state, write_state
from triptych.study.variants import differing, fingerprint
from triptych.yaml_file import write_yaml


class Watcher(Protocol):
    """What is told about a study while it runs."""

    def calibrating(self, variant: str, number: int, of: int) -> None:
        """A variant's steps are timed."""
        ...

    def calibrated(self, variant: str, found: calibration.Calibrated) -> None:
        """They have been, now or earlier."""
        ...

    def begins(self, run: PlannedRun, number: int, of: int, remaining: float | None) -> None:
        """A run begins; so many seconds are left for this and all others, if that can be told."""
        ...

    def works(self, run: PlannedRun, doing: str) -> None:
        """Called now and then while it runs."""
        ...

    def ends(self, run: PlannedRun, state: State) -> None:
        """A run has finished or failed."""
        ...


class Silent:
    """Watches and says nothing."""

    def calibrating(self, variant: str, number: int, of: int) -> None:
        """See `Watcher`."""

    def calibrated(self, variant: str, found: calibration.Calibrated) -> None:
        """See `Watcher`."""

    def begins(self, run: PlannedRun, number: int, of: int, remaining: float | None) -> None:
        """See `Watcher`."""

    def works(self, run: PlannedRun, doing: str) -> None:
        """See `Watcher`."""

    def ends(self, run: PlannedRun, state: State) -> None:
        """See `Watcher`."""


def run_study(
    plan: StudyPlan, only: Sequence[str] = (), launch: Launch | None = None, watcher: Watcher | None = None
) -> Path:
    """Run what is not finished, then write the results; returns the study's folder.

    Args:
        plan: From `make_plan`.
        only: Run these variants now; the results show whatever is finished. All by default.
        launch: How commands are run; a process each by default.
        watcher: Told about progress.

    Raises:
        RecipeError: A variant was changed after a run of it was made.
        EvaluationError: Another process works in the folder, or no run could be finished.
    """
    from triptych.study.write import write_results

    for name in only:
        if name not in plan.study.variants:
            raise RecipeError(f"--only: {unknown_name(name, plan.study.variants)}")
    chosen = list(only or plan.study.variants)
    watcher = watcher or Silent()
    with locked(plan.folder) as lock:
        launch = launch or Processes(lock)
        failed: dict[str, str] = {}
        plan = _calibrated(plan, chosen, launch, watcher, failed)
        for run in plan.runs:
            if run.variant in chosen:
                _same_recipe(run)
        asked = plan.study.model_dump(mode="json", exclude={"folder"})
        write_atomically(plan.folder / "study.yaml", write_yaml(asked))
        for number, run in enumerate(plan.runs, start=1):
            state = read_state(run.folder)
            if run.variant not in chosen or (state is not None and state.state == "done"):
                continue
            if run.variant in failed:
                _write_state(run, "failed", error=failed[run.variant])
                continue
            watcher.begins(run, number, len(plan.runs), remaining_seconds(plan, number - 1, chosen))
            state = _attempt(plan, run, launch, watcher)
            watcher.ends(run, state)
            if state.state == "done":
                write_results(plan, draw=False)
        write_results(plan)
    return plan.folder


def remaining_seconds(plan: StudyPlan, first: int, chosen: Sequence[str]) -> float | None:
    """How long the runs from number `first` on will take, going by those that are done; None before the first is."""
    states = [read_state(run.folder) for run in plan.runs]
    done = [state for state in states if state is not None and state.state == "done"]
    if not done:
        return None
    overall = sum(state.seconds for state in done) / len(done)
    total = 0.0
    for run, state in list(zip(plan.runs, states, strict=True))[first:]:
        if run.variant in chosen and (state is None or state.state != "done"):
            like = [other.seconds for other in done if other.variant == run.variant]
            total += sum(like) / len(like) if like else overall
    return total


def _calibrated(
    plan: StudyPlan, chosen: Sequence[str], launch: Launch, watcher: Watcher, failed: dict[str, str]
) -> StudyPlan:
    """The plan with the steps that the budget allows; variants that cannot be timed are put into `failed`."""
    if plan.study.budget is None:
        return plan
    found: dict[str, calibration.Calibrated] = {}
    for number, variant in enumerate(plan.study.variants, start=1):
        calibrated = calibration.known(plan, variant)
        if calibrated is None and variant not in chosen:
            continue
        if calibrated is None:
            watcher.calibrating(variant, number, len(plan.study.variants))
            run = plan.of(variant)[0]
            try:
                calibrated = calibration.calibrate(plan, variant, launch, lambda r=run: watcher.works(r, "calibrating"))  # type: ignore[misc]
            except calibration.CalibrationFailed as error:
                failed[variant] = str(error)
                continue
        found[variant] = calibrated
        watcher.calibrated(variant, calibrated)
    runs = tuple(calibration.apply(run, found[run.variant]) if run.variant in found else run for run in plan.runs)
    return replace(plan, runs=runs)


def with_known_steps(plan: StudyPlan) -> StudyPlan:
    """The plan with the steps of variants that were calibrated before; the others keep the recipe's."""
    if plan.study.budget is None:
        return plan
    found = {variant: calibration.known(plan, variant) for variant in plan.study.variants}
    runs = tuple(run if (c := found[run.variant]) is None else calibration.apply(run, c) for run in plan.runs)
    return replace(plan, runs=runs)


def _same_recipe(run: PlannedRun) -> None:
    state = read_state(run.folder)
    if state is None or state.state == "failed" or state.fingerprint == fingerprint(run.recipe):
        return
    try:
        changes = "\n".join(f"  {line}" for line in differing(load_recipe(run.folder / "recipe.yaml"), run.recipe)[:12])
    except TriptychError:
        changes = "  (its recipe.yaml cannot be read)"
    raise RecipeError(
        f"{run.folder}: this run was made with another recipe than the study now says:\n{changes}\n"
        f"move {run.folder} away to make it anew, write another study with --output, or undo the change"
    )


def _attempt(plan: StudyPlan, run: PlannedRun, launch: Launch, watcher: Watcher) -> State:
    began = time.monotonic()
    before = read_state(run.folder)
    if before is not None and before.fingerprint != fingerprint(run.recipe):  # a failed one, with another recipe
        shutil.rmtree(run.folder)
    _write_state(run, "running")
    # Written ahead, so that a first attempt and a continued one are the same command.
    write_atomically(run.folder / "recipe.yaml", dump_recipe(run.recipe))
    log = run.folder / "log.txt"
    task = plan.study.score[0].partition(".")[0]
    tasks = ",".join(dict.fromkeys(score.partition(".")[0] for score in plan.study.score))
    steps = {
        "training": ["triptych", "train", str(run.folder / "recipe.yaml"), "--output", str(run.folder), "--resume"],
        "evaluating": ["triptych", "evaluate", str(run.folder), "--tasks", tasks],
    }
    if not any((other.folder / measure.FILE).exists() for other in plan.of(run.variant)):
        steps["measuring"] = ["triptych.study.measure", str(run.folder), task]
    for doing, command in steps.items():
        since = log.stat().st_size if log.exists() else 0
        status = launch(command, log, lambda d=doing: watcher.works(run, d))  # type: ignore[misc]
        if status != 0:
            return _write_state(run, "failed", time.monotonic() - began, f"{doing}: {complaint(log, since, status)}")
    state = _write_state(run, "done", time.monotonic() - began)
    shutil.rmtree(run.folder / "checkpoints", ignore_errors=True)  # its weights are in weights/
    return state


def _write_state(
    run: PlannedRun, state: Literal["running", "done", "failed"], seconds: float = 0.0, error: str = ""
) -> State:
    return write_state(
        run.folder, State(run.variant, run.seed, state, fingerprint(run.recipe), round(seconds, 1), error)
    )


def progress_of(folder: Path) -> tuple[str, int] | None:
    """The stage and step that a training run has logged last; None before its first."""
    try:
        with (folder / "metrics.jsonl").open("rb") as file:
            file.seek(0, 2)
            file.seek(max(0, file.tell() - 4096))
            lines = file.read().splitlines()
    except OSError:
        return None
    for line in reversed(lines):
        try:
            values: Any = json.loads(line)
            return str(values["stage"]), int(values["step"])
        except (ValueError, KeyError, TypeError, RecursionError):  # the half line of one being written
            continue
    return None
