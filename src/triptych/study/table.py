"""The results as Markdown, and as rows of text for other views."""

from __future__ import annotations

from collections.abc import Callable

from triptych.evaluate.results import Interval
from triptych.report.numbers import count, duration, gibibytes, score_name, significant
from triptych.study.findings import Findings, Variant


def header(findings: Findings) -> list[str]:
    """The columns' names."""
    scores = []
    for score in findings.scores:
        scores += [label(findings, score), "another picture", f"minus {findings.best[score]}"]
    return ["variant", *scores, "trained parameters", "tokens per picture", "samples/s", "peak memory", "training",
            "steps"]  # fmt: skip


def row(findings: Findings, variant: Variant) -> list[str]:
    """A variant's cells, in the order of `header`."""
    cells = [variant.name]
    for name in findings.scores:
        score = variant.scores.get(name)
        cells += [
            spread(score.interval) if score else "failed",
            f"{score.control.value:.3f}" if score and score.control else "–",
            signed(score.difference, score.shown) if score else "–",
        ]
    return [
        *cells,
        parameters(variant),
        tokens(variant),
        _or_dash(variant.samples_per_second, significant),
        _or_dash(variant.peak_memory_bytes, gibibytes),
        _or_dash(variant.seconds, duration),
        " + ".join(f"{steps:,}" for steps in variant.steps.values()) or "–",
    ]


def markdown(findings: Findings) -> str:
    """The table with what is needed to read it."""
    names = header(findings)
    ranked = [*findings.ranked, *(variant for variant in findings.variants if not variant.scores)]
    lines = [
        f"# {findings.title or findings.study}",
        "",
        f"{setting(findings)}.",
        "",
        "| " + " | ".join(names) + " |",
        "| --- |" + " ---: |" * (len(names) - 1),
        *("| " + " | ".join(row(findings, variant)) + " |" for variant in ranked),
        "",
        *(f"- **{variant.name}**: {variant.notes}" for variant in ranked if variant.notes),
        "",
        READING,
        "",
        *verdicts(findings),
    ]
    warnings = [*findings.notes, *failures(findings)]
    if warnings:
        lines += ["", "To be known:", "", *(f"- {note}" for note in warnings)]
    return "\n".join(lines).replace("\n\n\n", "\n\n") + "\n"


READING = (
    "Scores are means over seeds; in brackets, 95 % intervals over seeds and pictures (crossed bootstrap: every resample "
    "draws pictures, the same for all seeds, and one seed fewer than there are). *Another picture* is the control: the "
    "same questions asked about another picture. Differences are paired by seed and picture; a star marks those whose "
    "interval leaves out zero. Each difference has its own interval: with several variants, a lone star near the edge "
    "may be luck."
)


def verdicts(findings: Findings) -> list[str]:
    """For each score, which variants are shown to be worse than the best, and which are not."""
    lines = []
    for name in findings.scores:
        others = [v for v in findings.ranked if name in v.scores and v.name != findings.best[name]]
        worse = [v.name for v in others if v.scores[name].shown]
        open_ = [v.name for v in others if not v.scores[name].shown]
        text = f"- {label(findings, name)}: **{findings.best[name]}** scored best."
        if worse:
            text += f" Shown to be worse: {', '.join(worse)}."
        if open_:
            text += f" Not shown to differ from it: {', '.join(open_)}."
        lines.append(text)
    return lines


def failures(findings: Findings) -> list[str]:
    """A line for each variant that failed."""
    lines = []
    for variant in findings.variants:
        for error in dict.fromkeys(variant.failures.values()):
            seeds = [str(seed) for seed, other in variant.failures.items() if other == error]
            flat = " ".join(error.split())
            lines.append(f"{variant.name} failed (seed {', '.join(seeds)}): {flat[:400]}")
    return lines


def setting(findings: Findings) -> str:
    """How the study was done, in a line."""
    seeds = len(findings.seeds)
    budget = f"{findings.minutes:g} min of training each" if findings.minutes else "the same steps as in the recipes"
    runs = f"{findings.finished} of {findings.planned} runs" if findings.finished < findings.planned else ""
    where = findings.hardware.get("device") or ""
    place = findings.hardware.get("cpu") if where in ("", "cpu") else where
    cores = f" ({findings.hardware['cores']} cores)" if place and "cores" in findings.hardware else ""
    asked = _questions(findings)
    facts = [budget, f"{seeds} seed{'s' if seeds != 1 else ''}", asked, runs, f"{place}{cores}" if place else ""]
    return ", ".join(fact for fact in facts if fact)


def label(findings: Findings, score: str) -> str:
    """A score's name for people; with its task where there are several tasks."""
    tasks = {name.partition(".")[0] for name in findings.scores}
    name = score_name(findings.scores[score])
    return f"{score.partition('.')[0]}: {name}" if len(tasks) > 1 else name


def spread(interval: Interval) -> str:
    """`0.812 (0.790–0.834)`."""
    return f"{interval.value:.3f} ({interval.low:.3f}–{interval.high:.3f})"


def signed(interval: Interval | None, shown: bool) -> str:
    """`−0.031* (−0.052–−0.010)` as ` to `; nothing for the best itself."""
    if interval is None:
        return "best"
    text = f"{interval.value:+.3f}{'*' if shown else ''} ({interval.low:+.3f} to {interval.high:+.3f})"
    return text.replace("-", "−")


def parameters(variant: Variant) -> str:
    """Trained parameters, and how many of them are new: the adapter's and the fusion's."""
    if variant.trained_parameters is None:
        return "–"
    new = variant.new_parameters
    text = count(variant.trained_parameters)
    return text if new is None or new == variant.trained_parameters else f"{text} ({count(new)} new)"


def tokens(variant: Variant) -> str:
    """Adapted positions per picture, and in brackets those in the sequence where they are others."""
    if variant.tokens_per_picture is None:
        return "–"
    placed = variant.sequence_per_picture
    other = placed is not None and placed != variant.tokens_per_picture
    return f"{variant.tokens_per_picture:.4g}" + (f" ({placed:.4g} in the sequence)" if other else "")


def _questions(findings: Findings) -> str:
    score = next((variant.scores[findings.headline] for variant in findings.ranked), None)
    return f"{score.interval.n:,} questions a run" if score else ""


def _or_dash(value: float | None, write: Callable[[float], str]) -> str:
    return "–" if value is None else write(value)
