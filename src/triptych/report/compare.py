"""Runs side by side, drawn: a table in the terminal, a page, and a plot."""

from __future__ import annotations

import io
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from triptych.errors import TriptychError
from triptych.files import write_atomically
from triptych.report.numbers import count, duration, gibibytes, score_name
from triptych.report.scores import Estimate, ScoreGroup, ScoreRow, axis_of
from triptych.report.write import page

if TYPE_CHECKING:
    from triptych.evaluate.compare import ComparedRun, Comparison, Row
    from triptych.evaluate.results import Interval
    from triptych.tables import Table

COLOURS = ("#1f6f8b", "#b4572a", "#5b7f3b", "#7c5295", "#a8892c", "#5a6270")
"""One per run, used again from the seventh on."""

CONTROL, CHANCE = "control: another picture", "chance"


@dataclass(frozen=True)
class MetricView:
    """One score of one task: an axis with a row per run, and the difference from the first run where it is known."""

    task: str
    name: str
    axis: ScoreGroup
    differences: list[str]


def compare_table(runs: Sequence[Path]) -> Table:
    """Scores with intervals and cost, a column per run; the first run is what the others are compared with.

    Raises:
        EvaluationError: A folder holds no results.
    """
    from rich.text import Text

    from triptych.tables import Column, Table

    comparison = _compare(runs)
    several_tasks = len({row.task for row in comparison.rows}) > 1
    columns = [Column("score", key=True), *(Column(run.name, number=True) for run in comparison.runs)]
    table = Table(columns, notes=comparison.notes)
    rows = _headlines_first(comparison)
    for i, row in enumerate(rows):
        name = f"{row.task}: {score_name(row.metric)}" if several_tasks else score_name(row.metric)
        cells = [
            Text.assemble(_interval(score), (f"  {change}" if change else "", "dim"))
            for score, change in zip(row.scores, _differences(row), strict=True)
        ]
        table.row(name, *cells)
        if i + 1 == len(rows) or rows[i + 1].task != row.task:
            table.section()
    for name, values in _costs(comparison.runs):
        table.row(Text(name, style="dim"), *values)
    return table


def _headlines_first(comparison: Comparison) -> list[Row]:
    """The rows task by task as they are, but each task's with the score that counts on top."""
    from triptych.report.leaderboard import headline

    results = {task: result for run in comparison.runs for task, result in run.results.tasks.items()}
    tasks = list(dict.fromkeys(row.task for row in comparison.rows))
    return sorted(comparison.rows, key=lambda row: (tasks.index(row.task), row.metric != headline(results[row.task])))


def compare_html(runs: Sequence[Path], path: Path) -> Path:
    """The same as a page that needs nothing beside it; returns its path.

    Raises:
        EvaluationError: A folder holds no results.
    """
    comparison = _compare(runs)
    metrics = [_metric(row, comparison.runs) for row in comparison.rows]
    text = page(
        "compare.html",
        runs=[(run, COLOURS[i % len(COLOURS)]) for i, run in enumerate(comparison.runs)],
        tasks={task: [metric for metric in metrics if metric.task == task] for task in (m.task for m in metrics)},
        costs=_costs(comparison.runs),
        notes=comparison.notes,
    )
    path.parent.mkdir(parents=True, exist_ok=True)
    write_atomically(path, text)
    return path


def compare_plot(runs: Sequence[Path], path: Path) -> Path:
    """The scores as a dot-and-whisker plot (PNG); returns its path.

    Raises:
        EvaluationError: A folder holds no results.
        TriptychError: Matplotlib is not installed.
    """
    try:
        from matplotlib.figure import Figure
    except ImportError:
        raise TriptychError(
            "the plot needs matplotlib: pip install 'triptych[plots]' (`--html` needs nothing)"
        ) from None
    comparison = _compare(runs)
    metrics = [_metric(row, comparison.runs) for row in comparison.rows]
    several_tasks = len({metric.task for metric in metrics}) > 1
    height = sum(0.45 + 0.24 * len(metric.axis.rows) for metric in metrics) + 0.9
    # A figure of its own, not pyplot: no global state, no display needed.
    figure = Figure(figsize=(7.5, height), layout="constrained")
    axes = figure.subplots(len(metrics), 1, squeeze=False)[:, 0]
    for metric, axis in zip(metrics, axes, strict=True):
        _draw(axis, metric, several_tasks, comparison.runs)
    known = {
        label: line for axis in axes for line in axis.get_lines() if not (label := line.get_label()).startswith("_")
    }
    order = [name for name in (*[run.name for run in comparison.runs], CONTROL, CHANCE) if name in known]
    figure.legend([known[name] for name in order], order, loc="outside upper left", ncols=3, frameon=False, fontsize=9)
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=160)
    path.parent.mkdir(parents=True, exist_ok=True)
    write_atomically(path, buffer.getvalue())
    return path


def _draw(axis: Any, metric: MetricView, several_tasks: bool, runs: Sequence[ComparedRun]) -> None:
    names = [run.name for run in runs]
    for place, row in enumerate(reversed(metric.axis.rows)):
        colour = COLOURS[names.index(row.name) % len(COLOURS)]
        if row.control is not None:
            axis.plot([row.control.low, row.control.high], [place, place], color="#b5b9c0", linewidth=1)
            axis.plot(
                row.control.value, place, "o", markersize=5, color="white", markeredgecolor="#9aa0ab", label=CONTROL
            )
        axis.plot([row.score.low, row.score.high], [place, place], color=colour, linewidth=2, solid_capstyle="butt")
        axis.plot(row.score.value, place, "o", markersize=7, color=colour, label=row.name)
        axis.annotate(
            f"{row.score.value:.3f}",
            (1.01, place),
            xycoords=("axes fraction", "data"),
            fontsize=8.5,
            va="center",
            color="#3a404b",
        )
        if row.chance is not None:
            ends = [place - 0.35, place + 0.35]
            axis.plot([row.chance] * 2, ends, color="#626977", linewidth=1.4, linestyle=":", label=CHANCE)
    axis.set_xlim(0, metric.axis.top * 1.005)
    axis.set_ylim(-0.7, len(metric.axis.rows) - 0.3)
    axis.set_yticks([])
    axis.set_xticks(metric.axis.ticks, [f"{tick:g}" for tick in metric.axis.ticks])
    axis.tick_params(labelsize=8, colors="#626977", length=0)
    axis.grid(axis="x", color="#e3dfd6", linewidth=0.8)
    axis.set_axisbelow(True)
    for side in ("top", "right", "left", "bottom"):
        axis.spines[side].set_visible(False)
    title = f"{metric.task}: {metric.name}" if several_tasks else metric.name
    axis.set_title(title, loc="left", fontsize=9.5, pad=3)


def _compare(runs: Sequence[Path]) -> Comparison:
    from triptych.evaluate.compare import compare

    return compare([Path(run) for run in runs])


def _metric(row: Row, runs: Sequence[ComparedRun]) -> MetricView:
    rows = [
        ScoreRow(run.name, _estimate(score), None if control is None else _estimate(control), chance)
        for run, score, control, chance in zip(runs, row.scores, row.control, row.chance, strict=True)
        if score is not None
    ]
    changes = [change for change, score in zip(_differences(row), row.scores, strict=True) if score is not None]
    return MetricView(row.task, score_name(row.metric), axis_of(rows, row.metric), changes)


def _estimate(interval: Interval) -> Estimate:
    return Estimate(interval.value, interval.low, interval.high, interval.n)


def _interval(interval: Interval | None) -> str:
    return "–" if interval is None else f"{interval.value:.3f} ({interval.low:.3f}–{interval.high:.3f})"


def _differences(row: Row) -> list[str]:
    """The run's score minus the first run's; a star where the interval of the difference leaves out zero."""
    texts = []
    for difference in row.differences:
        if difference is None:
            texts.append("")
        else:
            sure = difference.low > 0 or difference.high < 0
            texts.append(f"{difference.value:+.3f}{'*' if sure else ''}".replace("-", "−"))
    return texts


def _costs(runs: Sequence[ComparedRun]) -> list[tuple[str, list[str]]]:
    """Named figures of cost, a value per run; rows that no run knows are left out."""
    rows = [
        ("training time", [None if run.cost.seconds is None else duration(run.cost.seconds) for run in runs]),
        ("samples seen", [None if run.cost.samples is None else count(run.cost.samples) for run in runs]),
        ("steps", [None if run.cost.steps is None else count(run.cost.steps) for run in runs]),
        (
            "trained parameters",
            [None if run.cost.trained_parameters is None else count(run.cost.trained_parameters) for run in runs],
        ),
        (
            "peak memory",
            [None if run.cost.peak_memory_bytes is None else gibibytes(run.cost.peak_memory_bytes) for run in runs],
        ),
    ]
    return [(name, [value or "–" for value in values]) for name, values in rows if any(values)]
