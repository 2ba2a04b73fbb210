"""Models ranked by benchmark: a page and a Markdown table, sortable, with intervals and cost; where two models disagree."""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import Sequence
from dataclasses import dataclass
from importlib import resources
from itertools import combinations
from pathlib import Path

from markupsafe import Markup

from triptych.errors import EvaluationError
from triptych.evaluate.compare import ComparedRun, compare
from triptych.evaluate.contamination import unknown
from triptych.evaluate.records import read_records
from triptych.evaluate.results import Interval, TaskResult
from triptych.files import write_atomically
from triptych.report.disagreements import write_pair
from triptych.report.numbers import count, duration, score_name
from triptych.report.scores import Estimate, ScoreGroup, ScoreRow, axis_of
from triptych.report.write import page

PAIRS = 10
"""Pages of disagreements."""


@dataclass(frozen=True)
class Column:
    """One set of questions: a task, or, where models were asked it in different ways, one of these ways.

    Args:
        task: Its name.
        score: The score that counts.
        title: What the task is.
        questions: How many.
        models: Who was asked exactly these.
        axis: Shared by all models.
        chance: The best constant answer's score.
    """

    task: str
    score: str
    title: str
    questions: int
    models: frozenset[str]
    axis: ScoreGroup
    chance: float | None

    @property
    def name(self) -> str:
        """The score as people write it."""
        return score_name(self.score)


@dataclass(frozen=True)
class Cell:
    """One model's headline score in one task; nothing where it was not asked.

    Args:
        official: The official script's score, where it is another.
        seen: Pictures of the benchmark that were seen in training.
        unknown: Of how many pictures nobody knows whether they were, and why.
        best: The highest of several.
    """

    score: Interval | None
    unparsed: float | None = None
    chance: float | None = None
    official: str = ""
    seen: int = 0
    unknown: str = ""
    best: bool = False

    @property
    def blind(self) -> bool:
        """Whether the interval does not reach above chance."""
        return self.score is not None and self.chance is not None and self.score.low <= self.chance

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
class Pair:
    """Two models: the page of their disagreements, and by how much the second is better in each task."""

    file: str
    first: str
    second: str
    changes: dict[str, tuple[str, str]]
    """Task → the difference with its interval, and `better`, `worse` or nothing where the interval holds zero."""


def write_leaderboard(runs: Sequence[Path], output: Path) -> Path:
    """Write `leaderboard.html`, `leaderboard.md` and a page for each pair of models into a folder; returns the first.

    Raises:
        EvaluationError: A folder holds no results, or a file in it is malformed.
    """
    if not runs:
        raise EvaluationError("name the folders of at least one evaluated model")
    models = compare(runs).runs
    names = dict.fromkeys(task for model in models for task in model.results.tasks)
    heads = [_column(task, group) for task in names for group in _groups(task, models)]
    lines = sorted((_line(model, heads) for model in models), key=_rank, reverse=True)
    output.mkdir(parents=True, exist_ok=True)
    place = {line.name: number for number, line in enumerate(lines)}
    pairs = _pairs(sorted(models, key=lambda model: place[model.name]), heads, output)
    costs = list(dict.fromkeys(name for line in lines for name in line.cost))
    script = resources.files("triptych.report").joinpath("templates/sort.js").read_text("utf-8")
    hash_ = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    html = page(
        "leaderboard.html",
        heads=heads,
        lines=lines,
        costs=costs,
        pairs=pairs,
        pair_tasks=list(dict.fromkeys(task for pair in pairs for task in pair.changes)),
        script=Markup(script),
        script_hash=Markup(hash_),
    )
    write_atomically(output / "leaderboard.md", markdown(heads, lines, costs))
    write_atomically(output / "leaderboard.html", html)
    return output / "leaderboard.html"


def markdown(heads: Sequence[Column], lines: Sequence[Line], costs: Sequence[str]) -> str:
    """The table in Markdown; the best of a column in bold."""
    names = ["model", *(f"{head.task} ({head.name})" for head in heads), *costs]
    rows = ["| " + " | ".join(names) + " |", "| --- " + "| ---: " * (len(names) - 1) + "|"]
    for line in lines:
        texts = [f"**{cell.text}**" if cell.best else cell.text for cell in line.cells]
        cells = [text + ("\\*" if cell.blind else "") for text, cell in zip(texts, line.cells, strict=True)]
        rows.append(
            "| " + " | ".join([line.name, *cells, *(line.cost.get(cost, ("–", None))[0] for cost in costs)]) + " |"
        )
    foot = "95 % intervals, bootstrap over pictures. A column holds models that were asked the same questions."
    if any(cell.blind for line in lines for cell in line.cells):
        foot += " A star: not above chance (the best constant answer)."
    return "\n".join([*rows, "", foot, ""])


def _groups(task: str, models: Sequence[ComparedRun]) -> list[list[ComparedRun]]:
    """The models that were asked a task, those with the very same questions and truths together; the most first."""
    found: dict[str, list[ComparedRun]] = {}
    for model in models:
        if task in model.results.tasks:
            found.setdefault(_asked(task, model), []).append(model)
    return sorted(found.values(), key=len, reverse=True)


def _asked(task: str, model: ComparedRun) -> str:
    """A hash of what a model's records say it was asked; without records, how many questions its result counts."""
    records = read_records(model.path / "evaluation" / f"{task}.jsonl")
    if not records:
        return f"{model.results.tasks[task].questions} questions"
    text = "\n".join(sorted(f"{r.id}\t{r.question}\t{r.truth}" for r in records.values()))
    return hashlib.sha256(text.encode("utf-8", "backslashreplace")).hexdigest()


def _column(task: str, models: Sequence[ComparedRun]) -> Column:
    found = [model.results.tasks[task] for model in models]
    score = headline(found[0])
    rows = [
        ScoreRow(task, Estimate(value.value, value.low, value.high))
        for result in found
        if (value := result.metrics.get(score))
    ]
    return Column(
        task=task,
        score=score,
        title=str(found[0].facts.get("title", "")),
        questions=found[0].questions,
        models=frozenset(model.name for model in models),
        axis=axis_of(rows, score),
        chance=found[0].chance.get(score),
    )


def headline(result: TaskResult) -> str:
    """The name of the score that counts in a task."""
    if named := result.facts.get("headline"):
        return str(named)
    shots = sorted(
        (int(m.group(1)), name) for name in result.metrics if (m := re.fullmatch(r"(\d+)_shots_accuracy", name))
    )
    known = [name for name in ("macro_accuracy", "cider_d") if name in result.metrics]
    return [*known, *(name for _, name in shots[-1:]), *result.metrics, ""][0]


def _line(model: ComparedRun, heads: Sequence[Column]) -> Line:
    cost: dict[str, tuple[str, float | None]] = {}
    if model.cost.seconds is not None:
        cost["training time"] = (duration(model.cost.seconds), model.cost.seconds)
    if model.cost.trained_parameters is not None:
        cost["trained parameters"] = (count(model.cost.trained_parameters), model.cost.trained_parameters)
    seconds = sum(result.seconds for result in model.results.tasks.values())
    cost["evaluation time"] = (duration(seconds), seconds)
    return Line(model.name, [_cell(model, head) for head in heads], cost)


def _cell(model: ComparedRun, head: Column) -> Cell:
    result = model.results.tasks.get(head.task)
    score = result.metrics.get(head.score) if result and model.name in head.models else None
    if result is None or score is None:
        return Cell(None)
    rivals = [row.score.value for row in head.axis.rows]
    return Cell(
        score=score,
        unparsed=result.unparsed.share,
        chance=result.chance.get(head.score),
        official=_official(result, head.score),
        seen=int((result.facts.get("contamination") or {}).get("seen_in_training", 0)),
        unknown=unknown(result.facts),
        best=len(rivals) > 1 and score.value == max(rivals),
    )


def _official(result: TaskResult, metric: str) -> str:
    """The official rule's score, where there is one and it is not ours."""
    rule = next((rule for rule in result.rules.values() if rule.official), None)
    score = rule.metrics.get(metric) if rule else None
    ours = result.metrics[metric]
    return "" if score is None or f"{score.value:.3f}" == f"{ours.value:.3f}" else f"{score.value:.3f}"


def _rank(line: Line) -> tuple[int, float]:
    """By how many columns a model leads, then by its mean score."""
    values = [cell.score.value for cell in line.cells if cell.score is not None]
    return sum(cell.best for cell in line.cells), sum(values) / max(1, len(values))


def _pairs(models: Sequence[ComparedRun], heads: Sequence[Column], output: Path) -> list[Pair]:
    found: list[Pair] = []
    for first, second in combinations(models, 2):
        shared = {head.task: head.score for head in heads if {first.name, second.name} <= head.models}
        if not shared or len(found) == PAIRS:
            continue
        file = f"disagreements-{len(found) + 1}.html"
        changes = write_pair(first, second, shared, output / file)
        found.append(Pair(file, first.name, second.name, {task: _change(changes[task]) for task in shared}))
    return found


def _change(change: Interval | None) -> tuple[str, str]:
    if change is None:
        return "", ""
    sure = "better" if change.low > 0 else "worse" if change.high < 0 else ""
    return f"{change.value:+.3f} ({change.low:+.3f} to {change.high:+.3f})".replace("-", "−"), sure
