"""What training did, stage by stage: parts, cost and curves."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from markupsafe import Markup

from triptych.report.charts import Point, Series, line_chart, smooth
from triptych.report.folder import Record, RunRecord
from triptych.report.numbers import count, duration, gibibytes, number, significant


@dataclass(frozen=True)
class StageView:
    """One stage as the report shows it: a heading, named figures and charts."""

    name: str
    objective: str
    figures: list[tuple[str, str]]
    charts: list[Markup]


@dataclass(frozen=True)
class PartRow:
    """One part of the model: its size, and per stage whether it is trained and in what precision (None: no word)."""

    name: str
    parameters: str
    share: float
    stages: list[tuple[bool, str] | None]


def stage_views(run: RunRecord) -> list[StageView]:
    """Every stage that run.json or the metrics know of, in order."""
    described = {str(stage.get("name")): stage for stage in run.stages}
    names = list(described) + [str(line.get("stage")) for line in run.metrics]
    return [
        _stage(name, described.get(name, {}), [line for line in run.metrics if str(line.get("stage")) == name])
        for name in dict.fromkeys(names)
    ]


def part_rows(run: RunRecord) -> tuple[list[str], list[PartRow]]:
    """The names of the stages, and a row per part of the model."""
    stages = [stage for stage in run.stages if stage.get("parts")]
    tables = [{str(part.get("part")): part for part in stage["parts"]} for stage in stages]
    sizes: dict[str, float] = {}
    for table in tables:
        for name, part in table.items():
            sizes[name] = max(sizes.get(name, 0.0), number(part.get("parameters")) or 0.0)
    total = sum(sizes.values()) or 1.0
    rows = [
        PartRow(
            name,
            count(size),
            size / total,
            [
                (bool(table[name].get("trained")), str(table[name].get("precision") or "")) if name in table else None
                for table in tables
            ],
        )
        for name, size in sizes.items()
    ]
    return [str(stage.get("name")) for stage in stages], rows


def _stage(name: str, stage: Mapping[str, Any], lines: Sequence[Record]) -> StageView:
    return StageView(name, str(stage.get("objective") or "").replace("_", " "), _figures(stage, lines), _charts(lines))


def _figures(stage: Mapping[str, Any], lines: Sequence[Record]) -> list[tuple[str, str]]:
    """Named figures out of run.json, or as far as the metrics tell while the stage is still running."""
    last = lines[-1] if lines else {}
    seconds = _known(stage, lines, "seconds")
    tokens = _known(stage, lines, "tokens")
    supervised = _known(stage, lines, "supervised_tokens")
    samples = _known(stage, lines, "samples")
    steps = number(stage.get("steps")) or number(last.get("step"))
    paired = "logit_scale" in last  # of dual encoders, whose pairs are what is learned from
    figures: list[tuple[str, str | None]] = [
        ("steps", count(steps) if steps else None),
        ("time", duration(seconds) if seconds else None),
        ("samples", count(samples) if samples else None),
        ("samples/s", significant(samples / seconds) if samples and seconds else None),
        ("tokens", count(tokens) if tokens else None),
        ("tokens/s", count(tokens / seconds) if tokens and seconds else None),
        ("supervised", f"{supervised / tokens:.1%} of tokens" if tokens and supervised and not paired else None),
        ("encoding", _positive(stage, "feature_seconds", duration)),
        ("peak memory", _positive(stage, "peak_memory_bytes", gibibytes)),
    ]
    return [(label, text) for label, text in figures if text is not None]


def _positive(stage: Mapping[str, Any], key: str, write: Any) -> str | None:
    value = number(stage.get(key))
    return write(value) if value else None


def _known(stage: Mapping[str, Any], lines: Sequence[Record], key: str) -> float | None:
    """A total from run.json, or as far as the metrics have counted while the stage is still running."""
    return number(stage.get(key)) or max((y for _, y in _column(lines, key)), default=0.0) or None


def _column(lines: Sequence[Record], key: str) -> list[Point]:
    points = [(number(line.get("step")), number(line.get(key))) for line in lines]
    return sorted((x, y) for x, y in points if x is not None and y is not None)


def _speed(lines: Sequence[Record], what: str = "tokens") -> list[Point]:
    """Tokens, or samples, per second between one logged step and the next: the metrics count tokens and seconds from the start."""
    tokens, seconds = dict(_column(lines, what)), dict(_column(lines, "seconds"))
    counted = [(step, tokens[step], seconds[step]) for step in sorted(tokens.keys() & seconds.keys())]
    before = [(0.0, 0.0, 0.0), *counted]
    return [
        (step, (now_tokens - past_tokens) / (now_seconds - past_seconds))
        for (_, past_tokens, past_seconds), (step, now_tokens, now_seconds) in zip(before, counted, strict=False)
        if now_seconds > past_seconds and now_tokens >= past_tokens
    ]


def _charts(lines: Sequence[Record]) -> list[Markup]:
    loss, rate = _column(lines, "loss"), _column(lines, "learning_rate")
    paired = bool(_column(lines, "logit_scale"))
    speed, norm = _speed(lines, "samples" if paired else "tokens"), _column(lines, "gradient_norm")
    charts = [
        line_chart(
            "Loss",
            [
                Series("each step", loss if len(loss) > 8 else [], "raw"),
                Series("smoothed", smooth(loss), "main"),
                Series("validation", _column(lines, "validation_loss"), "second", dots=True),
            ],
            tall=True,
        ),
        line_chart("Learning rate", [Series("learning rate", rate, "main")]),
        line_chart(
            "Speed",
            [Series("each step", speed, "raw"), Series("smoothed", smooth(speed), "main")],
            unit="pairs/s" if paired else "tokens/s",
        ),
        line_chart(
            "Gradient norm",
            [Series("each step", norm, "raw"), Series("smoothed", smooth(norm), "main")],
            unit="before clipping",
        ),
    ]
    scale = [(step, math.exp(value)) for step, value in _column(lines, "logit_scale")]
    if scale:  # of dual encoders; a bias stands beside it with the sigmoid loss
        charts.append(line_chart("Scale of cosines", [Series("scale", scale, "main")]))
    if bias := _column(lines, "logit_bias"):
        charts.append(line_chart("Bias of cosines", [Series("bias", bias, "main")]))
    return [chart for chart in charts if chart]
