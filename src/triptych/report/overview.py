"""The head of the report: what the model is made of, and the figures that matter first."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from triptych.family import family_named
from triptych.report.folder import RunRecord
from triptych.report.numbers import count, duration, gibibytes, number


@dataclass(frozen=True)
class Panel:
    """One of the panels: what stands in it, its name, its size and how it is trained."""

    role: str
    name: str
    detail: str
    trained: str


def panels(run: RunRecord) -> list[Panel]:
    """The pieces of the model, as its family shows them, with what the table of parts says of each."""
    model = run.recipe.get("model")
    if not isinstance(model, Mapping):
        return []
    config = family_named(model.get("kind"))
    return [_panel(run, *piece) for piece in config.shown(model)] if config is not None else []


def tiles(run: RunRecord) -> list[tuple[str, str]]:
    """The figures of the whole run as (label, value)."""
    stages = run.stages

    def total(key: str) -> float:
        return sum(number(stage.get(key)) or 0.0 for stage in stages)

    peak = max((number(stage.get("peak_memory_bytes")) or 0.0 for stage in stages), default=0.0)
    tasks = [task for task in (run.results.get("tasks") or {}).values() if isinstance(task, Mapping)]
    questions = sum(int(number(task.get("questions")) or 0) for task in tasks)
    parameters = sum(
        number(part.get("parameters")) or 0.0 for part in (stages[-1].get("parts") or [] if stages else [])
    )
    figures = [
        ("trained in", duration(total("seconds")) if total("seconds") else ""),
        ("parameters", count(parameters) if parameters else ""),
        ("samples seen", count(total("samples")) if total("samples") else ""),
        ("supervised tokens", count(total("supervised_tokens")) if total("supervised_tokens") else ""),
        ("peak memory", gibibytes(peak) if peak else ""),
        ("questions answered", f"{questions:,}" if questions else ""),
    ]
    return [(label, value) for label, value in figures if value]


def subtitle(run: RunRecord) -> str:
    """Date, device and commit in a line."""
    hardware = run.info.get("hardware") or run.results.get("hardware") or {}
    finished = run.info.get("finished") or run.info.get("started") or run.results.get("date")
    if isinstance(hardware, Mapping):
        device, cores = str(hardware.get("device") or ""), hardware.get("cores")
        where = str(hardware.get("cpu") or device) if device in ("", "cpu") else device
        where = f"{where}, {cores} cores" if where and cores and device in ("", "cpu") else where
    else:
        where = str(hardware)
    commit = str(run.info.get("commit") or run.results.get("commit") or "")[:10]
    return " · ".join(part for part in (day(finished), where, f"commit {commit}" if commit else "") if part)


def day(value: Any) -> str:
    """An ISO date and time as `2026-02-03 14:05`; anything else as it is."""
    try:
        return datetime.fromisoformat(str(value)).strftime("%Y-%m-%d %H:%M")
    except ValueError:
        return "" if value is None else str(value)


def environment(run: RunRecord) -> list[tuple[str, list[tuple[str, str]]]]:
    """Where training and evaluation ran, each as rows of (name, value)."""
    training = {key: value for key, value in run.info.items() if key not in ("stages", "name")}
    evaluation = {key: value for key, value in run.results.items() if key not in ("tasks", "run")}
    return [(title, _flat(values)) for title, values in (("Training", training), ("Evaluation", evaluation)) if values]


def _flat(values: Mapping[str, Any], prefix: str = "") -> list[tuple[str, str]]:
    rows = []
    for key, value in values.items():
        name = f"{prefix}{str(key).replace('_', ' ')}"
        if isinstance(value, Mapping):
            rows += _flat(value, f"{name} ")
        elif value is not None and value != "":
            rows.append((name, day(value) if key in ("started", "finished", "date") else str(value)))
    return rows


def _panel(run: RunRecord, role: str, name: str, part: str) -> Panel:
    size, trained = 0.0, []
    for stage in run.stages:
        parts = [row for row in stage.get("parts") or [] if str(row.get("part", "")).startswith(part)]
        size = max(size, sum(number(row.get("parameters")) or 0.0 for row in parts))
        if any(row.get("trained") for row in parts):
            trained.append(str(stage.get("name")))
    detail = f"{count(size)} parameters" if size else ""
    state = "" if not size else f"trained in {', '.join(trained)}" if trained else "frozen"
    return Panel(role, name or "–", detail, state)
