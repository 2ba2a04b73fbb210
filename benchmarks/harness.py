"""Measurements in processes of their own, sides taking turns.

measure(sides, runs):   A B A B … ──► one Measurement each: what the process returned, its peak memory, its time
"""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]


@dataclass(frozen=True)
class Side:
    """One side of a comparison.

    Args:
        function: `package.module:function`.
        arguments: What it is called with.
        root: The checkout whose code runs.
    """

    function: str
    arguments: Mapping[str, Any]
    root: Path = ROOT


@dataclass(frozen=True)
class Measurement:
    """What a process did.

    Args:
        values: What the function returned.
        peak_memory_bytes: The most memory that was resident, imports and weights included (`ru_maxrss`).
        process_seconds: From start to end of the process.
        load_before: Load of the machine just before (one-minute average): above a few tenths something disturbs.
    """

    values: dict[str, Any]
    peak_memory_bytes: int
    process_seconds: float
    load_before: float


class ChildFailed(RuntimeError):
    """A measuring process ended with an error."""


def run_side(side: Side, environment: Mapping[str, str] | None = None) -> Measurement:
    """Call a function in a fresh process."""
    with tempfile.TemporaryDirectory(prefix="triptych-benchmark-") as folder:
        answer, said = Path(folder) / "answer.json", Path(folder) / "said.txt"
        command = [
            sys.executable,
            "-m",
            "benchmarks.child",
            side.function,
            json.dumps(dict(side.arguments)),
            str(answer),
        ]
        variables = {**child_environment(side.root), **(environment or {})}
        load = os.getloadavg()[0]
        with said.open("wb") as output:
            began = time.perf_counter()
            process = subprocess.Popen(command, cwd=side.root, env=variables, stdout=output, stderr=subprocess.STDOUT)
            _, status, usage = os.wait4(process.pid, 0)
            seconds = time.perf_counter() - began
        process.returncode = os.waitstatus_to_exitcode(status)
        if process.returncode != 0 or not answer.exists():
            tail = "\n".join(said.read_text(errors="replace").splitlines()[-30:])
            raise ChildFailed(f"{side.function} ended with {process.returncode}:\n{tail}")
        peak = usage.ru_maxrss if sys.platform == "darwin" else usage.ru_maxrss * 1024
        return Measurement(json.loads(answer.read_text()), peak, seconds, load)


def alternate(
    sides: Mapping[str, Side],
    runs: int,
    environment: Callable[[str, int], Mapping[str, str]] | None = None,
    say: Callable[[str], None] = print,
) -> dict[str, list[Measurement]]:
    """Run every side `runs` times, taking turns; which side begins changes from round to round.

    Args:
        sides: By name.
        runs: Rounds.
        environment: Name of the side and number of the round → variables of its process.
        say: Told about each run.
    """
    measured: dict[str, list[Measurement]] = {name: [] for name in sides}
    for number in range(runs):
        for name in list(sides) if number % 2 == 0 else reversed(list(sides)):
            done = run_side(sides[name], environment(name, number) if environment else None)
            measured[name].append(done)
            say(
                f"  run {number + 1}/{runs} {name}: {done.process_seconds:.1f} s, "
                f"{done.peak_memory_bytes / 2**30:.2f} GiB (load before {done.load_before:.1f})"
            )
    return measured


def summary(values: Sequence[float]) -> dict[str, Any]:
    """Median, extremes and all values."""
    return {
        "median": statistics.median(values),
        "low": min(values),
        "high": max(values),
        "values": [round(value, 6) for value in values],
    }


def pairwise_ratio(numerators: Sequence[float], denominators: Sequence[float]) -> dict[str, Any]:
    """The ratios of neighbouring runs, pair by pair: what disturbs one of a pair mostly disturbs the other."""
    return summary([a / b for a, b in zip(numerators, denominators, strict=True)])


def child_environment(root: Path = ROOT) -> dict[str, str]:
    """Variables of a measuring process: a checkout's sources come first."""
    path = os.pathsep.join([str(root / "src"), *filter(None, [os.environ.get("PYTHONPATH")])])
    return {**os.environ, "PYTHONPATH": path, "TOKENIZERS_PARALLELISM": "false"}
