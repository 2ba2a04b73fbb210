"""Line charts as HTML and SVG: no library, sharp at any width, readable on light and dark.

The lines are an SVG that stretches with its box; every text is HTML placed by percentages on top, so that
a phone shows the same letters as a desktop. Colours are CSS classes (`style.css`).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from markupsafe import Markup

from triptych.report.numbers import significant

Point = tuple[float, float]

MAX_POINTS = 600
"""A line keeps at most about this many points: more than the pixels that a report gives it."""


@dataclass(frozen=True)
class Series:
    """One line: its points by increasing x, its name in the legend and its CSS class."""

    name: str
    points: Sequence[Point]
    style: str
    dots: bool = False


def line_chart(
    title: str, series: Sequence[Series], unit: str = "", x_name: str = "step", tall: bool = False
) -> Markup:
    """A chart with a y axis from zero; empty without a single point."""
    drawn = [item for item in series if item.points]
    if not drawn:
        return Markup("")
    right = max(x for item in drawn for x, _ in item.points)
    left = min(min(x for item in drawn for x, _ in item.points), right - 1)
    top, ticks = _axis(_ceiling(drawn))
    lines = Markup("").join(_line(item, left, right, top) for item in drawn)
    grid = Markup("").join(
        Markup('<line class="grid" x1="0" x2="100" y1="{y}" y2="{y}"/>').format(y=_round(100 - 100 * tick / top))
        for tick in ticks
    )
    y_labels = Markup("").join(
        Markup('<span class="y" style="top:{}%">{}</span>').format(
            _round(100 - 100 * tick / top), _tick(tick, ticks[-1])
        )
        for tick in ticks
    )
    x_labels = Markup("").join(
        Markup('<span class="x{}" style="left:{}%">{}</span>').format(
            " end" if value == right else "", _round(100 * (value - left) / (right - left)), _tick(value, right)
        )
        for value in _x_ticks(left, right, 8 if tall else 4)
    )
    legend = Markup("").join(
        Markup('<span class="key {}">{}</span>').format(item.style, item.name)
        for item in drawn
        if tall and len(drawn) > 1
    )
    return Markup(
        '<figure class="chart"><figcaption><b>{title}</b>{unit}<span class="legend">{legend}</span></figcaption>'
        '<div class="plot{tall}"><svg viewBox="0 0 100 100" preserveAspectRatio="none" role="img" aria-label="{label}">'
        '{grid}{lines}</svg>{y_labels}{x_labels}</div><div class="x-name">{x_name}</div></figure>'
    ).format(
        title=title,
        unit=Markup(' <span class="unit">{}</span>').format(unit) if unit else "",
        legend=legend,
        tall=" tall" if tall else "",
        label=f"{title}: {len(drawn)} line(s), last value {significant(drawn[-1].points[-1][1])}",
        grid=grid,
        lines=lines,
        y_labels=y_labels,
        x_labels=x_labels,
        x_name=x_name,
    )


def smooth(points: Sequence[Point], share: float = 0.04) -> list[Point]:
    """A centred moving average over `share` of the points (fewer at the ends): it follows without lagging behind."""
    reach = max(1, round(len(points) * share / 2))
    sums = [0.0]
    for _, y in points:
        sums.append(sums[-1] + y)
    smoothed = []
    for i, (x, _) in enumerate(points):
        first, last = max(0, i - reach), min(len(points), i + reach + 1)
        smoothed.append((x, (sums[last] - sums[first]) / (last - first)))
    return smoothed


def thin_out(points: Sequence[Point], limit: int = MAX_POINTS) -> list[Point]:
    """At most about `limit` points; of every stretch its lowest and its highest stay, so that no spike is lost."""
    if len(points) <= limit:
        return list(points)
    stretch = math.ceil(len(points) / (limit // 2))
    kept = []
    for start in range(0, len(points), stretch):
        part = points[start : start + stretch]
        kept += sorted({min(part, key=lambda point: point[1]), max(part, key=lambda point: point[1])})
    return kept


def nice_step(span: float, parts: int) -> float:
    """The step of 1, 2 or 5 times a power of ten that cuts `span` into about so many parts."""
    rough = span / max(1, parts)
    power = 10.0 ** math.floor(math.log10(rough))
    return next(factor * power for factor in (1, 2, 5, 10) if factor * power >= rough * 0.999)


def _ceiling(series: Sequence[Series]) -> float:
    """The highest y worth showing: lone spikes of a raw line may leave the picture, a smoothed line may not."""
    values = sorted(y for item in series for _, y in item.points)
    calm = [y for item in series if not item.style.startswith("raw") for _, y in item.points]
    return max(values[min(len(values) - 1, int(0.99 * len(values)))], *calm, 0.0)


def _axis(highest: float) -> tuple[float, list[float]]:
    if highest <= 0:
        return 1.0, [0.0, 1.0]
    step = nice_step(highest, 4)
    number = math.ceil(highest / step * 0.98)
    return max(number * step, highest * 1.02), [i * step for i in range(number + 1)]


def _x_ticks(left: float, right: float, parts: int) -> list[float]:
    step = max(1.0, nice_step(right - left, parts))
    first = math.ceil(left / step) * step
    inner = [first + i * step for i in range(int((right - first) / step) + 1)]
    return [value for value in inner if right - value > 0.6 * step] + [right]


def _line(item: Series, left: float, right: float, top: float) -> Markup:
    places = [
        (_round(100 * (x - left) / (right - left)), _round(min(100, max(0, 100 - 100 * y / top))))
        for x, y in thin_out(item.points)
    ]
    path = "M" + "L".join(f"{x} {y}" for x, y in places)
    line = Markup('<path class="line {}" d="{}"/>').format(item.style, path)
    if not item.dots and len(places) > 1:
        return line
    # A round dot survives the stretching only as a line of no length with round ends.
    dots = "".join(f"M{x} {y}h0" for x, y in places)
    return line + Markup('<path class="dots {}" d="{}"/>').format(item.style, dots)


def _round(value: float) -> str:
    return f"{value:.2f}".rstrip("0").rstrip(".")


def _tick(value: float, largest: float) -> str:
    """A tick's label, written alike along an axis that goes up to `largest`."""
    if value == 0:
        return "0"
    if largest >= 10_000:
        return f"{value / 1000:g}k"
    if largest < 0.01:
        return f"{value:.2g}" if "e" in f"{value:.2g}" else f"{value:.0e}".replace("e-0", "e-")
    return f"{value:.4g}"
