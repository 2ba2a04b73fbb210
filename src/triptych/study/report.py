"""`report.html` of a study: one page that needs nothing beside it, in the style of a run's report."""

from __future__ import annotations

import json
from pathlib import Path

import yaml
from markupsafe import Markup

from triptych.files import write_atomically
from triptych.report.charts import Point, Series, line_chart, smooth
from triptych.report.numbers import duration
from triptych.report.scores import Estimate, ScoreGroup, ScoreRow, axis_of
from triptych.report.write import page_environment
from triptych.study.calibrate import read_calibration
from triptych.study.findings import Findings
from triptych.study.plan import StudyPlan
from triptych.study.table import READING, failures, header, label, row, setting, signed, verdicts


def write_page(findings: Findings, plan: StudyPlan) -> Path:
    """Write the page into the study's folder; returns its path."""
    path = plan.folder / "report.html"
    write_atomically(path, render(findings, plan))
    return path


def render(findings: Findings, plan: StudyPlan) -> str:
    """The page as text. Everything that comes from data is escaped by the template."""
    environment = page_environment("triptych.study")
    return environment.get_template("study.html").render(
        findings=findings,
        setting=setting(findings),
        scores=[(label(findings, name), _axis(findings, name), _differences(findings, name)) for name in findings.scores],
        verdicts=[line.removeprefix("- ").replace("**", "") for line in verdicts(findings)],
        reading=READING.replace("*", ""),
        header=header(findings),
        rows=[row(findings, variant) for variant in findings.ranked],
        curves=_curves(findings, plan),
        failures=failures(findings),
        changes={variant.name: _yaml(variant.changes) for variant in findings.variants},
        notes={variant.name: variant.notes for variant in findings.variants},
        calibration=[
            (name, [(stage, f"{took:.3g} s", entry["steps"][stage]) for stage, took in entry["seconds_per_step"].items()])
            for name, entry in read_calibration(plan.folder).items()
        ],
    )  # fmt: skip


def _axis(findings: Findings, name: str) -> ScoreGroup:
    rows = []
    for variant in findings.ranked:
        score = variant.scores.get(name)
        if score is not None:
            control = score.control
            rows.append(
                ScoreRow(
                    variant.name,
                    Estimate(score.interval.value, score.interval.low, score.interval.high, score.interval.n),
                    None if control is None else Estimate(control.value, control.low, control.high, control.n),
                    score.chance,
                )
            )
    return axis_of(rows, findings.scores[name])


def _differences(findings: Findings, name: str) -> dict[str, str]:
    """Variant → its difference from the best."""
    return {
        variant.name: signed(score.difference, score.shown)
        for variant in findings.ranked
        if (score := variant.scores.get(name)) is not None
    }


def _curves(findings: Findings, plan: StudyPlan) -> list[Markup]:
    """Of each variant the loss over training time: the seeds' raw lines are too many to be read, so the first seed's."""
    charts = []
    for variant in findings.ranked:
        run = next((run for run in plan.of(variant.name) if (run.folder / "metrics.jsonl").exists()), None)
        if run is None:
            continue
        points = _losses(run.folder / "metrics.jsonl", run.recipe.stages[-1].name)
        if points:
            unit = f"stage {run.recipe.stages[-1].name}, seed {run.seed}, {duration(points[-1][0])}"
            lines = [Series("each step", points, "raw"), Series("smoothed", smooth(points), "main")]
            charts.append(line_chart(variant.name, lines, unit=unit, x_name="seconds"))
    return charts


def _losses(path: Path, stage: str) -> list[Point]:
    points = []
    for line in path.read_text(encoding="utf-8").splitlines():
        try:
            values = json.loads(line)
        except ValueError:
            continue
        if values.get("stage") == stage and values.get("loss") is not None:
            points.append((values["seconds"], values["loss"]))
    return points


def _yaml(values: object) -> str:
    return yaml.safe_dump(values, sort_keys=False, allow_unicode=True) if values else "the recipe as it is"
