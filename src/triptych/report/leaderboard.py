"""Models ranked by benchmark: a page and a Markdown table, sortable, with intervals and cost; where two models disagree."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from importlib import resources
from itertools import combinations
from pathlib import Path
from typing import Any

from markupsafe import Markup

from triptych.errors import EvaluationError
from triptych.evaluate.compare import ComparedRun, compare, tally_of
from triptych.evaluate.metrics.bootstrap import differences
from triptych.evaluate.records import read_records
from triptych.evaluate.results import Interval, TaskResult
from triptych.evaluate.tasks.question import Record
from triptych.files import write_atomically
from triptych.report.gallery import data_uri
from triptych.report.numbers import count, duration
from triptych.report.write import page

MOST = 60
"""Disagreements shown on one page."""

PAIRS = 10
"""Pages of disagreements."""


@dataclass(frozen=True)
class Cell:
    """One model's headline score in one task; nothing where it was not asked."""

    score: Interval | None
    unparsed: float | None
    chance: float | None
    official: str
    seen: int
    speed: float | None
    best: bool

    @property
    def text(self) -> str:
        """The score with its interval."""
        return "–" if self.score is None else f"{self.score.value:.3f} ({self.score.low:.3f}–{self.score.high:.3f})"


@dataclass(frozen=True)
class Line:
    """One model: its cells in the order of the tasks, and its cost."""

    name: str
    cells: list[Cell]
    cost: dict[str, tuple[str, float | None]]


@dataclass(frozen=True)
class Disagreement:
    """One question that two models answer differently: one is right, or both are wrong in different ways."""

    question: str
    truth: str
    answers: tuple[str, str]
    right: tuple[bool, bool]
    pictures: list[str]


def write_leaderboard(runs: Sequence[Path], output: Path) -> Path:
    """Write `leaderboard.html`, `leaderboard.md` and a page for each pair of models into a folder; returns the first.

    Raises:
        EvaluationError: A folder holds no results, or a file in it is malformed.
    """
    if not runs:
        raise EvaluationError("name the folders of at least one evaluated model")
    columns = compare(runs).runs
    tasks = list(dict.fromkeys(task for column in columns for task in column.results.tasks))
    lines = sorted((_line(column, tasks, columns) for column in columns), key=_rank, reverse=True)
    output.mkdir(parents=True, exist_ok=True)
    pairs: list[tuple[str, str, str, dict[str, str]]] = []
    for first, second in list(combinations(columns, 2))[:PAIRS]:
        shared = [task for task in tasks if task in first.results.tasks and task in second.results.tasks]
        if not shared:
            continue
        name = f"disagreements-{len(pairs) + 1}.html"
        sections = {task: list(disagreements(first, second, task))[:MOST] for task in shared}
        changes = {task: _difference(first, second, task) for task in shared}
        write_atomically(
            output / name,
            page("disagreements.html", first=first.name, second=second.name, tasks=sections, changes=changes),
        )
        pairs.append((name, first.name, second.name, {task: _change(changes[task]) for task in shared}))
    heads = [(task, _headline(task, columns)) for task in tasks]
    costs = list(dict.fromkeys(name for line in lines for name in line.cost))
    script = resources.files("triptych.report").joinpath("templates/sort.js").read_text("utf-8")
    hash_ = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    html = page(
        "leaderboard.html",
        heads=heads,
        lines=lines,
        costs=costs,
        pairs=pairs,
        script=Markup(script),
        script_hash=Markup(hash_),
    )
    write_atomically(output / "leaderboard.md", markdown(heads, lines, costs))
    write_atomically(output / "leaderboard.html", html)
    return output / "leaderboard.html"


def markdown(heads: Sequence[tuple[str, str]], lines: Sequence[Line], costs: Sequence[str]) -> str:
    """The table in Markdown; the best of a column in bold, a star where the interval does not reach above chance."""
    names = ["model", *(f"{task} ({metric})" for task, metric in heads), *costs]
    rows = ["| " + " | ".join(names) + " |", "| --- " + "| ---: " * (len(names) - 1) + "|"]
    for line in lines:
        cells = [
            f"**{cell.text}**" if cell.best else cell.text + ("\\*" if _blind(cell) else "") for cell in line.cells
        ]
        rows.append(
            "| " + " | ".join([line.name, *cells, *(line.cost.get(cost, ("–", None))[0] for cost in costs)]) + " |"
        )
    foot = "95 % intervals, bootstrap over pictures. A star: not above chance (the best constant answer)."
    return "\n".join([*rows, "", foot, ""])


def disagreements(first: ComparedRun, second: ComparedRun, task: str) -> Iterator[Disagreement]:
    """Questions of a task that the two answer differently, those where one of them is right first."""
    a, b = (read_records(run.path / "evaluation" / f"{task}.jsonl") for run in (first, second))
    apart = [(a[id_], b[id_]) for id_ in a if id_ in b and _said(a[id_]) != _said(b[id_])]
    apart.sort(key=lambda pair: abs(float(pair[0].correct) - float(pair[1].correct)), reverse=True)
    for ours, theirs in apart:
        yield Disagreement(
            ours.question,
            ours.truth if isinstance(ours.truth, str) else "; ".join(ours.truth[:5]),
            (ours.answer, theirs.answer),
            (float(ours.correct) >= 0.5, float(theirs.correct) >= 0.5),
            [uri for path in ours.facts.get("images", ())[:2] if (uri := _thumbnail(path))],
        )


def _said(record: Record) -> Any:
    return record.parsed if record.parsed is not None else record.answer


def _thumbnail(path: str) -> str | None:
    from triptych.conversation import Image
    from triptych.errors import DataError

    try:
        return data_uri(Image(path).open())
    except DataError:
        return None


def _difference(first: ComparedRun, second: ComparedRun, task: str) -> Interval | None:
    """The second's headline score minus the first's, paired over the questions of both."""
    ours, theirs = second.results.tasks[task], first.results.tasks[task]
    a, b = (read_records(run.path / "evaluation" / f"{task}.jsonl") for run in (second, first))
    ids = [id_ for id_ in a if id_ in b]
    if not ids or ours.kind != theirs.kind:
        return None
    try:
        mine, other = tally_of(ours, [a[id_] for id_ in ids]), tally_of(theirs, [b[id_] for id_ in ids])
        return differences(mine, other).get(str(_metric(ours)))
    except (EvaluationError, ValueError):
        return None


def _change(change: Interval | None) -> str:
    if change is None:
        return ""
    sure = change.low > 0 or change.high < 0
    return f"{change.value:+.3f} ({change.low:+.3f} to {change.high:+.3f}){'*' if sure else ''}".replace("-", "−")


def _line(column: ComparedRun, tasks: Sequence[str], columns: Sequence[ComparedRun]) -> Line:
    cells = []
    for task in tasks:
        result = column.results.tasks.get(task)
        score = result.metrics.get(_metric(result)) if result else None
        others = [r.metrics.get(_metric(r)) for c in columns if (r := c.results.tasks.get(task))]
        best = score is not None and score.value == max(other.value for other in others if other is not None)
        cells.append(
            Cell(
                score=score,
                unparsed=result.unparsed.share if result else None,
                chance=result.chance.get(_metric(result)) if result else None,
                official=_official(result),
                seen=int((result.facts.get("contamination") or {}).get("seen_in_training", 0)) if result else 0,
                speed=result.questions_per_second if result else None,
                best=best and len(columns) > 1,
            )
        )
    cost: dict[str, tuple[str, float | None]] = {}
    if column.cost.seconds is not None:
        cost["training time"] = (duration(column.cost.seconds), column.cost.seconds)
    if column.cost.trained_parameters is not None:
        cost["trained parameters"] = (count(column.cost.trained_parameters), column.cost.trained_parameters)
    seconds = sum(result.seconds for result in column.results.tasks.values())
    cost["evaluation time"] = (duration(seconds), seconds)
    return Line(column.name, cells, cost)


def _official(result: TaskResult | None) -> str:
    if result is None:
        return ""
    rule = next((rule for rule in result.rules.values() if rule.official), None)
    score = rule.metrics.get(_metric(result)) if rule else None
    return "" if score is None else f"{score.value:.3f}"


def _metric(result: TaskResult) -> str:
    named = result.facts.get("headline")
    if named:
        return str(named)
    for known in ("macro_accuracy", "cider_d"):
        if known in result.metrics:
            return known
    return next(iter(result.metrics), "")


def _headline(task: str, columns: Sequence[ComparedRun]) -> str:
    return next(_metric(column.results.tasks[task]) for column in columns if task in column.results.tasks)


def _blind(cell: Cell) -> bool:
    return cell.score is not None and cell.chance is not None and cell.score.low <= cell.chance


def _rank(line: Line) -> tuple[int, float]:
    """By how many columns a model leads, then by its mean score."""
    values = [cell.score.value for cell in line.cells if cell.score is not None]
    return sum(cell.best for cell in line.cells), sum(values) / max(1, len(values))
