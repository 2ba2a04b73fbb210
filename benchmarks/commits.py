"""The speed of two commits: what stands in the working tree against a commit before it, process by process in turn.

python -m benchmarks commits --variants COMMIT [training generation asking] --runs 9

Every side is the function of its own commit (`benchmarks.training:ours` and so on) on the same weights and the same data,
in a fresh process with an empty feature cache. `asking` needs a finished run in `runs/quickstart`.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from benchmarks.harness import ROOT, Measurement, Side, alternate, pairwise_ratio, run_side, summary
from benchmarks.results import Settings, gibibytes, short, table, write
from benchmarks.setting import fresh_cache

PARTS = ("training", "generation", "asking")
SIZES = {
    "align": {"pictures": 8, "epochs": 2, "batch_size": 8},
    "instruct": {"pictures": 4, "epochs": 2, "batch_size": 8},
    "generation": {"pictures": 32, "epochs": 1, "batch_size": 4},
}
QUESTIONS = 96
WANTED = 0.95
"""Of the median of the paired ratios: the speed of this commit over that of the one before."""


def run(settings: Settings) -> None:
    """Measure and write `commits.json` and `commits.md`."""
    if not settings.variants:
        sys.exit("say which commit: --variants COMMIT [training generation asking]")
    commit, *parts = settings.variants
    if unknown := set(parts) - set(PARTS):
        sys.exit(f"there is no {', '.join(sorted(unknown))}; there are {', '.join(PARTS)}")
    measured: dict[str, dict[str, Any]] = {}
    with tempfile.TemporaryDirectory(prefix="triptych-benchmark-") as temporary:
        folder = Path(temporary)
        before = folder / "before"
        subprocess.run(["git", "clone", "-q", str(ROOT), str(before)], check=True)
        subprocess.run(["git", "-C", str(before), "checkout", "-q", commit], check=True)
        for name, (work, side) in _sides(folder, parts or PARTS).items():
            settings.say(name)
            caches = iter(folder / f"cache-{name}-{i}" for i in range(10_000))
            taken = alternate(
                {"before": Side(side.function, side.arguments, before), "now": side},
                settings.runs,
                lambda *_, places=caches: fresh_cache(next(places)),
                settings.say,
            )
            measured |= _compared(name, work, taken)
    write("commits", {"before": commit, "measured": measured}, _page, settings)


def _sides(folder: Path, parts: Sequence[str]) -> dict[str, tuple[str, Side]]:
    """What is measured: name → what is counted, and the function of this commit."""
    sides: dict[str, tuple[str, Side]] = {}
    for name, size in SIZES.items():
        if ("generation" if name == "generation" else "training") in parts:
            arguments = {"folder": str(folder / name), "small": False, **size}
            run_side(Side("benchmarks.setting:prepare", arguments))
    if "training" in parts:
        for stage in ("align", "instruct"):
            sides[stage] = (
                "samples",
                Side("benchmarks.training:ours", {"folder": str(folder / stage), "stage": stage}),
            )
    if "generation" in parts:
        asked = {"requests": 16, "new_tokens": 64, "variants": ["distinct", "shared", "seen"]}
        sides["generation"] = (
            "requests",
            Side("benchmarks.generation:ours", {"folder": str(folder / "generation"), **asked}),
        )
    if "asking" in parts:
        arguments = {"run": str(ROOT / "runs" / "quickstart"), "questions": QUESTIONS}
        sides["asking"] = ("questions", Side("benchmarks.asking:ours", arguments))
    return sides


def _seconds(values: Mapping[str, Any]) -> dict[str, float]:
    """Seconds of a measurement, by variant where it has several."""
    if "seconds" in values:
        return {"": float(values["seconds"])}
    return {f", {name}": float(found["seconds"]) for name, found in values.items()}


def _compared(name: str, work: str, taken: Mapping[str, Sequence[Measurement]]) -> dict[str, Any]:
    measured: dict[str, Any] = {}
    for variant in _seconds(taken["now"][0].values):
        seconds = {side: [_seconds(one.values)[variant] for one in runs] for side, runs in taken.items()}
        measured[f"{name}{variant}"] = {
            "work": work,
            "seconds": {side: summary(values) for side, values in seconds.items()},
            "ratio": pairwise_ratio(seconds["before"], seconds["now"]),
            "memory": {side: summary([m.peak_memory_bytes for m in runs]) for side, runs in taken.items()},
            "load_before": {side: [m.load_before for m in runs] for side, runs in taken.items()},
        }
    return measured


def _page(values: dict[str, Any]) -> str:
    rows = []
    for name, one in values["measured"].items():
        seconds, memory = one["seconds"], one["memory"]
        rows.append(
            [
                name,
                short(seconds["before"]),
                short(seconds["now"]),
                f"**{short(one['ratio'])}**",
                gibibytes(memory["before"]),
                gibibytes(memory["now"]),
            ]
        )
    head = ["", "before, s", "now, s", "speed now / before", "memory before, GiB", "memory now, GiB"]
    return "\n\n".join(
        [
            "# The speed of two commits",
            f"This commit against {values['before']}: the same work on the same weights in processes that take turns, "
            f"{values['runs']} pairs. Medians (and extremes); ratios are formed pair by pair; wanted: a median of at least {WANTED}.",
            table(head, rows),
        ]
    )
