"""Scores as the report shows them: a dot with its interval, beside the shuffled-image control and chance."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from triptych.evaluate.contamination import unknown
from triptych.report.charts import nice_step
from triptych.report.numbers import number, score_name, words


@dataclass(frozen=True)
class Estimate:
    """A value with its 95 % interval; `low` and `high` are the value itself where no interval was computed."""

    value: float
    low: float
    high: float
    n: int | None = None


@dataclass(frozen=True)
class ScoreRow:
    """One score: the model's (or a baseline's), the control's and the chance level, the last two where known."""

    name: str
    score: Estimate
    control: Estimate | None = None
    chance: float | None = None
    baseline: bool = False


@dataclass(frozen=True)
class ScoreGroup:
    """Rows that share an axis from 0 to `top`."""

    top: float
    ticks: list[float]
    rows: list[ScoreRow]

    def place(self, value: float) -> str:
        """Where a value stands on the axis, in percent."""
        return f"{100 * min(max(value / self.top, 0.0), 1.0):.2f}%"

    def span(self, estimate: Estimate) -> str:
        """The width of an interval, in percent."""
        return f"{100 * max(0.0, min(estimate.high, self.top) - max(estimate.low, 0.0)) / self.top:.2f}%"


@dataclass(frozen=True)
class TaskScores:
    """One task's scores with what is needed to read them."""

    name: str
    facts: list[str]
    prompt: str
    parsers: list[tuple[str, str]]
    groups: list[ScoreGroup]
    unparsed: str


def estimate(values: Any) -> Estimate | None:
    """One entry of `metrics` in results.json; None when it has no finite value."""
    value = number(values.get("value")) if isinstance(values, Mapping) else number(values)
    if value is None:
        return None
    if not isinstance(values, Mapping):
        return Estimate(value, value, value)
    low, high, n = number(values.get("low")), number(values.get("high")), number(values.get("n"))
    return Estimate(
        value, value if low is None else low, value if high is None else high, None if n is None else int(n)
    )


def task_scores(results: Mapping[str, Any]) -> list[TaskScores]:
    """Every task of a results.json."""
    return [_task(name, task) for name, task in results.get("tasks", {}).items() if isinstance(task, Mapping)]


def _task(name: str, task: Mapping[str, Any]) -> TaskScores:
    control, chance = task.get("control") or {}, task.get("chance") or {}
    rows = []
    metrics = task.get("metrics") or {}
    for metric in sorted(metrics, key=_families(metrics)):
        score = estimate(metrics[metric])
        if score is not None:
            rows.append(ScoreRow(score_name(metric), score, estimate(control.get(metric)), _chance(chance.get(metric))))
            rows += _baselines(metric, task.get("baselines") or {})
            rows += _official(metric, score, task.get("rules") or {})
    unparsed = task.get("unparsed") or {}
    share = number(unparsed.get("share"))
    parsers = task.get("parser")
    return TaskScores(
        name=name,
        facts=_facts(task),
        prompt=str(task.get("prompt") or ""),
        parsers=[(words(str(kind)), words(str(form))) for kind, form in parsers.items()]
        if isinstance(parsers, Mapping)
        else [],
        groups=_groups(rows),
        unparsed="" if share is None else f"{int(number(unparsed.get('count')) or 0):,} ({share:.1%})",
    )


def _families(metrics: Iterable[str]) -> Callable[[str], int]:
    """A sort key that puts the mean over kinds first and the scores of one kind side by side, else keeps the order."""
    first = {"macro": -1}
    for place, metric in enumerate(metrics):
        first.setdefault(metric.split("_")[0], place)
    return lambda metric: first[metric.split("_")[0]]


def _baselines(metric: str, baselines: Mapping[str, Any]) -> list[ScoreRow]:
    """What the baselines of a task scored by the same metric."""
    found = {name: estimate((baseline.get("metrics") or {}).get(metric)) for name, baseline in baselines.items()}
    return [
        ScoreRow(f"baseline: {words(name)}", score, baseline=True) for name, score in found.items() if score is not None
    ]


def _official(metric: str, ours: Estimate, rules: Mapping[str, Any]) -> list[ScoreRow]:
    """What the official rule makes of the same answers, where that is another number."""
    found = []
    for name, rule in rules.items():
        score = estimate((rule.get("metrics") or {}).get(metric))
        if rule.get("official") and score is not None and score != ours:
            found.append(ScoreRow(f"official rule: {words(name)}", score, baseline=True))
    return found


def _chance(values: Any) -> float | None:
    level = estimate(values)
    return None if level is None else level.value


def _facts(task: Mapping[str, Any]) -> list[str]:
    sizes = [(number(task.get(key)), word) for key, word in (("questions", "questions"), ("samples", "pictures"))]
    facts = [f"{size:,.0f} {word}" for size, word in sizes if size]
    if task.get("dataset"):
        facts.append(f"dataset {task['dataset']}")
    rate = number(task.get("questions_per_second"))
    if rate:
        facts.append(f"{rate:.1f} questions/s")
    failed = sum(int(number(times) or 0) for times in (task.get("failed") or {}).values())
    facts += [f"{failed:,} could not be asked"] if failed else []
    why = unknown(task.get("facts") or {})
    return facts + ([why] if why else [])


def _groups(rows: list[ScoreRow]) -> list[ScoreGroup]:
    """Shares of one get the axis from 0 to 1; scores on a scale of their own (CIDEr-D) get an axis that fits them."""
    shares: list[ScoreRow] = []
    others: list[ScoreRow] = []
    own = False
    for row in rows:
        own = _has_own_scale(row) if not row.baseline else own  # a baseline stands below the score it belongs to
        (others if own else shares).append(row)
    return [axis_of(group, group[0].name) for group in (shares, others) if group]


def axis_of(rows: list[ScoreRow], name: str) -> ScoreGroup:
    """Rows of the score `name` on one axis: to 1 for shares, as far as needed for scores on a scale of their own."""
    highest = max((_highest(row) for row in rows), default=1.0)
    if highest <= 1.0 and "cider" not in name.lower():
        return ScoreGroup(1.0, [0, 0.25, 0.5, 0.75, 1], rows)
    step = nice_step(highest or 1.0, 4)
    ticks = [i * step for i in range(max(1, math.ceil(highest / step)) + 1)]
    return ScoreGroup(ticks[-1], ticks, rows)


def _has_own_scale(row: ScoreRow) -> bool:
    return _highest(row) > 1.0 or "cider" in row.name.lower()


def _highest(row: ScoreRow) -> float:
    return max(row.score.high, row.score.value, row.control.high if row.control else 0.0, row.chance or 0.0)
