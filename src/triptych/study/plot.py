"""A study as one picture: the scores with their intervals, and beside them what each variant cost."""

from __future__ import annotations

import io
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from triptych.errors import TriptychError
from triptych.files import write_atomically
from triptych.report.numbers import gibibytes, significant
from triptych.study.findings import Findings, Variant
from triptych.study.table import label, parameters, setting, tokens

INK, SOFT, FAINT, LINE = "#20242c", "#626977", "#9aa0ab", "#e3dfd6"
MEAN, SEED, CONTROL, CHANCE = LEGEND = (
    "mean over seeds, 95 % interval",
    "each seed",
    "the same questions, another picture",
    "chance",
)

Panel = tuple[str, Callable[[Variant], float | None], Callable[[Variant], str]]
"""A cost: its name, its value, and the value with its unit."""

BESIDE = 2
"""Up to so many scores the costs stand beside them, else below."""

MAIN, SECOND, BAR = "#1f6f8b", "#b4572a", "#a9c6cf"


def draw_study(findings: Findings, path: Path) -> Path:
    """Draw a study into a PNG file; returns its path.

    Raises:
        TriptychError: Matplotlib is not installed.
    """
    try:
        from matplotlib.figure import Figure
        from matplotlib.layout_engine import ConstrainedLayoutEngine
    except ImportError:
        raise TriptychError(
            "the plot needs matplotlib: pip install 'triptych[plots]', then start the study again (finished runs are kept)"
        ) from None
    variants = findings.ranked
    panels = [panel for panel in _panels() if any(panel[1](variant) is not None for variant in variants)]
    scores = list(findings.scores)
    across = [3.2 if len(scores) == 1 else 2.6] * len(scores), [1.4] * len(panels)
    rows = [[*across[0], *across[1]]] if len(scores) <= BESIDE else [widths for widths in across if widths]
    size = (2.0 + 1.32 * max(map(sum, rows)), 1.1 + (0.65 + 0.48 * len(variants)) * len(rows))
    # A figure of its own, not pyplot: no global state, no display needed.
    layout = ConstrainedLayoutEngine(w_pad=0.08, h_pad=0.08, wspace=0.04)
    figure = Figure(figsize=size, layout=layout, facecolor="white")
    axes = _axes(figure, rows, [variant.name for variant in variants])
    for axis, score in zip(axes, scores, strict=False):
        _scores(axis, findings, variants, score)
    for axis, (name, value, write) in zip(axes[len(scores) :], panels, strict=True):
        _bars(axis, variants, name, value, write)
    figure.suptitle(findings.title or findings.study, x=0.01, ha="left", fontsize=14, fontweight="bold", color=INK)
    shown = [pair for axis in axes for pair in zip(*axis.get_legend_handles_labels(), strict=True)]
    known = {name: handle for handle, name in sorted(shown, key=lambda pair: LEGEND.index(pair[1]))}
    figure.legend(
        known.values(), known.keys(), loc="outside lower left", ncols=4, frameon=False, fontsize=8.5, labelcolor=SOFT,
        title=setting(findings), title_fontsize=8.5, alignment="left",
    ).get_title().set_color(SOFT)  # fmt: skip
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=170)
    path.parent.mkdir(parents=True, exist_ok=True)
    write_atomically(path, buffer.getvalue())
    return path


def _axes(figure: Any, rows: Sequence[Sequence[float]], variants: Sequence[str]) -> list[Any]:
    """Axes of these widths, row by row: a line for each variant, named in front of each row."""
    axes: list[Any] = []
    grid = figure.add_gridspec(len(rows), 1)
    for row, widths in enumerate(rows):
        cells = grid[row].subgridspec(1, len(widths), width_ratios=widths)
        first = figure.add_subplot(cells[0])
        others = [figure.add_subplot(cells[column], sharey=first) for column in range(1, len(widths))]
        for other in others:
            other.tick_params(labelleft=False)
        first.set_yticks(range(len(variants)), variants, fontsize=11, color=INK)
        first.set_ylim(len(variants) - 0.45, -0.55)
        axes += [first, *others]
    return axes


def _scores(axis: Any, findings: Findings, variants: Sequence[Variant], name: str) -> None:
    shares = True
    for place, variant in enumerate(variants):
        score = variant.scores.get(name)
        if score is None:
            continue
        best = variant.name == findings.best[name]
        if score.control is not None:
            axis.plot(score.control.value, place, "o", markersize=5, color="white", markeredgecolor=FAINT,
                      label=CONTROL)  # fmt: skip
        if score.chance is not None:
            axis.plot([score.chance] * 2, [place - 0.32, place + 0.32], color=SECOND, linewidth=1.5, linestyle=":",
                      label=CHANCE)  # fmt: skip
        low, high, value = score.interval.low, score.interval.high, score.interval.value
        axis.plot(list(score.by_seed.values()), [place + 0.22] * len(score.by_seed), "|", markersize=5, color=MAIN,
                  alpha=0.55, label=SEED)  # fmt: skip
        axis.plot([low, high], [place] * 2, color=MAIN, linewidth=2.4, solid_capstyle="butt")
        axis.plot(value, place, "o", markersize=8, color=MAIN, label=MEAN)
        left = value > 0.72
        axis.annotate(
            f"{value:.3f}", (low if left else high, place), xytext=(-6 if left else 6, 0), textcoords="offset points",
            ha="right" if left else "left", va="center", fontsize=9.5, color=INK,
            fontweight="bold" if best else "normal",
        )  # fmt: skip
        shares &= max(high, score.control.high if score.control else 0, score.chance or 0) <= 1 and low >= 0
    if shares:
        axis.set_xlim(-0.015, 1.015)
        axis.set_xticks([0, 0.25, 0.5, 0.75, 1], ["0", "0.25", "0.5", "0.75", "1"])
    else:
        axis.set_xlim(left=0)
    axis.grid(axis="x", color=LINE, linewidth=0.8)
    _clean(axis, label(findings, name))


def _bars(
    axis: Any, variants: Sequence[Variant], name: str, value: Callable[[Variant], float | None],
    write: Callable[[Variant], str],
) -> None:  # fmt: skip
    values = [value(variant) for variant in variants]
    top = max((found for found in values if found is not None), default=1.0) or 1.0
    for place, (variant, found) in enumerate(zip(variants, values, strict=True)):
        if found is not None:
            axis.barh(place, found, height=0.34, color=BAR)
            axis.text(0, place - 0.3, write(variant), va="center", fontsize=8.5, color=INK)
    axis.set_xlim(0, top * 1.08)
    axis.set_xticks([])
    _clean(axis, name)


def _clean(axis: Any, title: str) -> None:
    axis.tick_params(labelsize=8.5, colors=SOFT, length=0)
    axis.tick_params(axis="y", labelsize=11, labelcolor=INK)
    axis.set_axisbelow(True)
    for side in ("top", "right", "left", "bottom"):
        axis.spines[side].set_visible(False)
    axis.set_title(title, loc="left", fontsize=9.5, pad=6, color=INK)


def _panels() -> list[Panel]:
    return [
        ("trained parameters", lambda variant: variant.trained_parameters, parameters),
        ("tokens per picture", lambda variant: variant.tokens_per_picture, tokens),
        ("samples/s", lambda variant: variant.samples_per_second, lambda v: significant(v.samples_per_second or 0)),
        ("peak memory", lambda variant: variant.peak_memory_bytes, lambda v: gibibytes(v.peak_memory_bytes or 0)),
    ]
