"""What a study found: scores over seeds and pictures, differences from the best, and what each variant cost."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from statistics import fmean
from typing import Any

from triptych.environment import describe
from triptych.errors import EvaluationError
from triptych.evaluate.compare import compare, tally_of
from triptych.evaluate.records import read_records
from triptych.evaluate.results import Interval, load_results
from triptych.evaluate.scoring.bootstrap import Tally
from triptych.recipe.messages import unknown_name
from triptych.study import measure
from triptych.study.findings import Findings, Score, Variant
from triptych.study.plan import PlannedRun, StudyPlan
from triptych.study.state import State, read_state
from triptych.study.statistics import difference_over_seeds, interval_over_seeds, per_seed


def collect(plan: StudyPlan) -> Findings:
    """Read what the finished runs of a study left behind.

    Raises:
        EvaluationError: No run is finished, or a score that was asked for was not measured.
    """
    states = {run.name: state for run in plan.runs if (state := read_state(run.folder)) is not None}
    done = {
        variant: [run for run in plan.of(variant) if _is(states.get(run.name), "done")]
        for variant in plan.study.variants
    }
    if not any(done.values()):
        failed = [f"{name}: {state.error}" for name, state in states.items() if state.state == "failed"]
        why = f"; the first failed with: {failed[0]}" if failed else ""
        raise EvaluationError(f"{plan.folder}: no run of the study is finished{why}")
    tallies = {
        (variant, score, control): _tallies(runs, score, control)
        for variant, runs in done.items()
        for score in plan.study.score
        for control in (False, True)
        if runs
    }
    metrics = {score: _metric(score, tallies) for score in plan.study.score}
    best = {
        score: max(
            (variant for variant in done if done[variant]),
            key=lambda variant, score=score: fmean(per_seed(tallies[variant, score, False], metrics[score])),  # type: ignore[misc]
        )
        for score in plan.study.score
    }
    variants = []
    for variant, runs in done.items():
        failures = {run.seed: states[run.name].error for run in plan.of(variant) if _is(states.get(run.name), "failed")}
        scores = {
            score: _score(
                score, metrics[score], runs, tallies[variant, score, False], tallies[variant, score, True],
                None if best[score] == variant else (done[best[score]], tallies[best[score], score, False]),
            )
            for score in plan.study.score
            if runs
        }  # fmt: skip
        if runs or failures:
            variants.append(_variant(plan, variant, runs, scores, failures))
    stamp = describe()
    planned = [run for run in plan.runs if run.variant in {found.name for found in variants}]
    return Findings(
        study=plan.study.name,
        title=plan.study.title,
        date=stamp["date"],
        triptych=stamp["triptych"],
        commit=stamp["commit"],
        hardware=stamp["hardware"],
        versions=stamp["versions"],
        minutes=plan.study.budget.minutes if plan.study.budget else None,
        seeds=list(plan.study.seeds),
        finished=sum(map(len, done.values())),
        planned=len(planned),
        scores={score: metrics[score] for score in plan.study.score},
        best=best,
        variants=variants,
        notes=list(plan.notes),
    )


def _is(state: State | None, value: str) -> bool:
    return state is not None and state.state == value


def _score(
    score: str,
    metric: str,
    runs: Sequence[PlannedRun],
    tallies: Sequence[Tally],
    control: Sequence[Tally],
    best: tuple[Sequence[PlannedRun], Sequence[Tally]] | None,
) -> Score:
    difference: Interval | None = None
    if best is not None:
        ours = {run.seed: tally for run, tally in zip(runs, tallies, strict=True)}
        theirs = {run.seed: tally for run, tally in zip(*best, strict=True)}
        shared = [seed for seed in ours if seed in theirs]
        if shared:
            difference = difference_over_seeds([ours[s] for s in shared], [theirs[s] for s in shared], metric)
    task = score.partition(".")[0]
    return Score(
        interval=interval_over_seeds(tallies, metric),
        by_seed=dict(zip([run.seed for run in runs], per_seed(tallies, metric), strict=True)),
        control=interval_over_seeds(control, metric) if control else None,
        chance=load_results(runs[0].folder).tasks[task].chance.get(metric),
        difference=difference,
    )


def _tallies(runs: Sequence[PlannedRun], score: str, control: bool) -> list[Tally]:
    """The counts of each run; none where there was no control."""
    task = score.partition(".")[0]
    found = []
    for run in runs:
        result = load_results(run.folder).tasks.get(task)
        if result is None:
            raise EvaluationError(f"{run.folder}: its results lack the task {task!r}; move the folder away to redo it")
        records = read_records(run.folder / "evaluation" / f"{task}{'.control' if control else ''}.jsonl")
        if control and (not records or not result.control):
            return []
        found.append(tally_of(result, list(records.values())))
    return found


def _metric(score: str, tallies: dict[tuple[str, str, bool], list[Tally]]) -> str:
    """The metric's full name: `naming` stands for `naming_accuracy`.

    Raises:
        EvaluationError: There is no such score.
    """
    asked = score.partition(".")[2]
    tally = next(found[0] for (_, name, control), found in tallies.items() if name == score and not control)
    known = tally.score(tally.sums.sum(axis=0))
    for name in (asked, f"{asked}_accuracy"):
        if name in known:
            return name
    raise EvaluationError(
        f"score: {score}: {unknown_name(asked, known)}; correct `score` and start again, runs are kept"
    )


def _variant(
    plan: StudyPlan,
    name: str,
    runs: Sequence[PlannedRun],
    scores: dict[str, Score],
    failures: dict[int, str],
) -> Variant:
    costs = [compare([run.folder]).runs[0].cost for run in runs]
    measured = next((found for run in runs if (found := _measured(run.folder))), {})
    facts = [_facts(run.folder) for run in runs]

    def mean(values: list[float | int | None]) -> float | None:
        known = [value for value in values if value is not None]
        return fmean(known) if known else None

    speeds = [cost.samples / cost.seconds if cost.samples and cost.seconds else None for cost in costs]
    memory = [cost.peak_memory_bytes for cost in costs if cost.peak_memory_bytes is not None]
    return Variant(
        name=name,
        notes=plan.study.variants[name].notes,
        changes=plan.study.variants[name].changes,
        scores=scores,
        failures=failures,
        trained_parameters=measured.get("trained_parameters"),
        new_parameters=measured.get("new_parameters"),
        tokens_per_picture=measured.get("tokens_per_picture"),
        sequence_per_picture=measured.get("sequence_per_picture"),
        samples_per_second=mean(list(speeds)),
        samples=mean([cost.samples for cost in costs]),
        seconds=mean([cost.seconds for cost in costs]),
        peak_memory_bytes=max(memory, default=None),
        steps={stage["name"]: stage["steps"] for stage in facts[0]} if facts else {},
    )


def _measured(folder: Path) -> dict[str, Any]:
    try:
        found: dict[str, Any] = json.loads((folder / measure.FILE).read_bytes())
        return found
    except (OSError, ValueError, RecursionError):
        return {}


def _facts(folder: Path) -> list[dict[str, Any]]:
    try:
        found: list[dict[str, Any]] = json.loads((folder / "run.json").read_bytes())["stages"]
        return found
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        return []
