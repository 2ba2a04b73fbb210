"""Evaluating a task: answer, record, judge, score. Every kind of task goes this way, and its result is made here.

    task ── items ─► model ── answers ─► records (JSONL) ─► judge ─► metrics ─► scores with intervals ─► TaskResult
              └ with other samples' media ─► control              └► rules, chance, baselines, facts

A task says what its items are and how a model answers them (`triptych.evaluate.task`); a metric says what scores are
made of (`triptych.evaluate.scoring.metric`). Answers that are asked for one by one are on the disk before the next
batch is asked, so an evaluation that was killed goes on where it was, and asks nothing twice.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from triptych.evaluate.records import check_settings
from triptych.evaluate.results import Baseline, Interval, RuleResult, TaskResult
from triptych.evaluate.scoring.bootstrap import differences, intervals
from triptych.evaluate.scoring.rule import OURS
from triptych.evaluate.shares import forget
from triptych.evaluate.task import Store, Task, unparsed_of
from triptych.evaluate.tasks.question import Record


def run(
    task: Task,
    model: Any,
    output: Path,
    *,
    name: str = "",
    fingerprint: str = "",
    fresh: bool = False,
    progress: bool = True,
) -> TaskResult:
    """Have a model answer a task's items, keep a record of each answer, and score them with intervals.

    Args:
        task: What is asked, and how it is scored.
        model: Does what `task.needs`.
        output: The run folder; records go to `output/evaluation/NAME.jsonl` and `NAME.control.jsonl`.
        name: The task's name; that of its dataset by default.
        fingerprint: Of the model; records of another model are never taken for this one's.
        fresh: Discard records of earlier evaluations instead of going on from them.
        progress: Show a progress bar.

    Raises:
        EvaluationError: The records on the disk were made with other settings, or too many items cannot be answered.
    """
    task.prepare(model)
    store = Store(output / "evaluation", name or task.dataset, progress)
    if (settings := task.settings()) is not None:
        if fresh:
            forget((store.records, store.control, store.settings))
        check_settings(store.settings, {**settings, "fingerprint": fingerprint})
    judged = task.judge(task.answer(model, store))
    records = task.review(judged, lambda reviewed: store.save(store.records, reviewed))
    if task.keeps_records:
        store.save(store.records, records)
    control = task.judge(task.control(model, store, records))
    if control and task.keeps_control:
        store.save(store.control, control)
    metrics, unparsed = _scores(task, records), task.unparsed(records)
    seconds = sum(record.seconds for record in records)
    return TaskResult(
        kind=task.kind,
        dataset=task.dataset,
        samples=task.samples(records),
        questions=len(records),
        prompt=task.prompt,
        parser=dict(task.parsers),
        generation=dict(task.generation),
        seconds=seconds,
        questions_per_second=len(records) / seconds if seconds > 0 else 0.0,
        metrics=metrics,
        control=_scores(task, control),
        unparsed=unparsed,
        chance=task.chance(records),
        baselines={n: _baseline(task, records, theirs) for n, theirs in task.baselines(model, records).items()},
        failed=task.failed(records),
        fingerprint=fingerprint,
        rules=_rules(task, records, RuleResult(metrics=metrics, unparsed=unparsed, official=task.official == OURS)),
        facts=task.facts(records),
    )


def _scores(task: Task, records: Sequence[Record]) -> dict[str, Interval]:
    """Every score of every metric, with its interval."""
    return task.of_metrics(records, lambda metric, taken: metric.intervals(taken, task.seed))


def _baseline(task: Task, records: Sequence[Record], theirs: Sequence[Record]) -> Baseline:
    """The scores of a baseline's records, and the model's scores minus these, paired."""
    metrics: dict[str, Interval] = {}
    difference: dict[str, Interval] = {}
    for metric in task.metrics:
        ours, others = ([record for record in each if metric.takes(record)] for each in (records, theirs))
        if others:
            tallies = metric.tally(ours), metric.tally(others)
            metrics |= intervals(tallies[1], seed=task.seed)
            difference |= differences(*tallies, seed=task.seed)
    written = {name for metric in task.metrics for name in metric.of_writing}
    return Baseline(metrics=_without(metrics, written), difference=_without(difference, written))


def _without(scores: Mapping[str, Interval], names: set[str]) -> dict[str, Interval]:
    return {name: score for name, score in scores.items() if name not in names}


def _rules(task: Task, records: Sequence[Record], ours: RuleResult) -> dict[str, RuleResult]:
    """What every rule makes of the same answers; `ours` is known already."""
    results: dict[str, RuleResult] = {}
    for name, rule in task.rules.items():
        if name == OURS:
            results[name] = ours
            continue
        judged = [rule.judge(record) for record in records]
        scores = intervals(rule.tally(judged), seed=task.seed)
        results[name] = RuleResult(metrics=scores, unparsed=unparsed_of(judged), official=name == task.official)
    return results
