"""Evaluating a run by the tasks of its recipe."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from rich.text import Text

from triptych.api import Model, load
from triptych.console import make_console
from triptych.data.sources import build as build_source
from triptych.errors import RecipeError
from triptych.evaluate.config import GroundingTaskConfig, TaskConfig
from triptych.evaluate.results import Interval, Results, TaskResult, record_results
from triptych.evaluate.run import evaluate
from triptych.progress import spinner
from triptych.recipe.messages import unknown_name
from triptych.report import write_report
from triptych.report.leaderboard import headline
from triptych.tables import Column, Table


def evaluate_run(
    run: Path,
    tasks: Sequence[str] | None = None,
    limit: int | None = None,
    restart: bool = False,
    output: Path | None = None,
) -> Results:
    """Ask a run the questions of its recipe's tasks, write `results.json` and the report, print the scores.

    Args:
        run: The folder of a finished run.
        tasks: Names of tasks; all of the recipe's by default.
        limit: At most this many questions per task.
        restart: Forget the answers of an evaluation that was stopped.
        output: Where answers and results go; the run's folder by default.

    Raises:
        RecipeError: The recipe has no such task.
    """
    output = output or run
    console = make_console(stderr=True)
    with spinner(f"loading {run}", console):
        model = load(run)
    recipe = model.recipe
    names = list(recipe.evaluation) if tasks is None else list(tasks)
    if not names:
        raise RecipeError(f"{run}: the recipe has no tasks under `evaluation`")
    for name in names:
        if name not in recipe.evaluation:
            raise RecipeError(f"--tasks: {unknown_name(name, recipe.evaluation)}")
        task = recipe.evaluation[name]
        if limit is not None:
            task = task.model_copy(update={"limit": limit})
        done = _evaluated(model, task, output, name, restart)
        results = record_results(output, {name: done}, {"fingerprint": model.fingerprint, "name": recipe.name})
        console.print(score_table(name, done))
    told = f"results: {output / 'results.json'}"
    if (output / "run.json").exists():
        told += f"; report: {write_report(output)}"
    console.print(told, highlight=False, markup=False)
    return results


def _evaluated(model: Model, task: TaskConfig, output: Path, name: str, restart: bool) -> TaskResult:
    recipe = model.recipe
    base = Path(recipe.base)
    able = model.require(task.needs, f"evaluation.{name}")
    source = build_source(recipe.data[task.data], base)
    train_data = getattr(task, "train_data", None)
    train_source = build_source(recipe.data[train_data], base) if train_data is not None else None
    features, fingerprint = getattr(able, "features", None), model.fingerprint
    if isinstance(task, GroundingTaskConfig):
        task = task.model_copy(update={"generation": task.generation or able.pointing_settings()})
        able, fingerprint = able.grounder(task.generation), able.pointing_fingerprint()
    return evaluate(
        able,
        source,
        task,
        output,
        name=name,
        train_source=train_source,
        features=features,
        fingerprint=fingerprint,
        fresh=restart,
    )


def score_table(name: str, result: TaskResult) -> Table:
    """The scores of a task beside its control and chance; the score that counts comes first, by every rule."""
    title = (
        f"{name}: {result.questions:,} questions, {result.questions_per_second:.1f} a second, "
        f"{result.unparsed.count:,} answers unparsed"
    )
    heads = ("value", "95 % interval", "shuffled pictures", "chance")
    table = Table([Column("score", key=True), *(Column(head, number=True) for head in heads)], title, _notes(result))
    first = headline(result)
    for metric in sorted({**result.metrics, **_by_rules(result)}, key=lambda metric: metric != first):
        style = "bold" if metric == first else ""
        if metric in result.metrics:
            _add(table, metric, style, result.metrics[metric], result.control.get(metric), result.chance.get(metric))
        for said, interval in _by_rules(result).get(metric, {}).items():
            _add(table, said, "dim", interval)
    for baseline, measured in result.baselines.items():
        for metric, interval in measured.metrics.items():
            _add(table, f"baseline {baseline}: {metric}", "dim", interval)
    return table


def _by_rules(result: TaskResult) -> dict[str, dict[str, Interval]]:
    """Scores that other rules see differently: metric → rule, as it is said → score."""
    scores: dict[str, dict[str, Interval]] = {}
    for rule, read in result.rules.items():
        if rule == "triptych":
            continue
        for metric, interval in read.metrics.items():
            if any(metric.startswith(f"{kind}_") for kind in result.unparsed.by_kind):
                continue  # per kind: in results.json
            ours = result.metrics.get(metric)
            if ours is None or ours.value != interval.value or ours.n != interval.n:
                mark = " (official)" if read.official else ""
                scores.setdefault(metric, {})[f"{metric}, rule {rule}{mark}"] = interval
    return scores


def _add(
    table: Table, name: str, style: str, score: Interval, control: Interval | None = None, chance: float | None = None
) -> None:
    table.row(
        Text(name, style=style),
        Text(f"{score.value:.3f}", style=style if style == "bold" else ""),
        f"{score.low:.3f} – {score.high:.3f}",
        f"{control.value:.3f}" if control else "",
        f"{chance:.3f}" if chance is not None else "",
    )


def _notes(result: TaskResult) -> list[str]:
    """Why answers are unparsed, and which records could not be read or asked about."""
    lines = [f"unparsed, {count:,}: {reason}" for reason, count in list(result.unparsed.reasons.items())[:3]]
    if failed := sum(result.failed.values()):
        lines.append(f"left out or not asked, {failed:,}; the first: {next(iter(result.failed))}")
    return lines
