"""Running the checks of systems, and writing their results."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from parity.check import Check
from parity.pages import origin, table
from parity.systems import SYSTEMS, checks, system_of
from triptych.environment import describe
from triptych.files import write_atomically


@dataclass(frozen=True)
class Verdict:
    """One comparison of a system.

    Args:
        system: Which.
        part: The function that made the comparison.
        check: What was compared, and how far apart it is.
        seconds: Since the comparison before it.
    """

    system: str
    part: str
    check: Check
    seconds: float


def verify(names: Sequence[str]) -> Iterator[Verdict]:
    """Compare systems with their reference implementations, on the CPU, in float32.

    What several systems share is computed once.

    Args:
        names: Of systems or of their presets; `all` is all of them.

    Raises:
        UnknownSystem: One is not known.
    """
    systems = list(
        dict.fromkeys(other for name in names for other in (SYSTEMS if name == "all" else [system_of(name)]))
    )
    done: dict[str, list[tuple[Check, float]]] = {}
    for system in systems:
        for part, function in checks(system):
            if part in done:
                yield from (Verdict(system, part, check, seconds) for check, seconds in done[part])
                continue
            finished: list[tuple[Check, float]] = []
            began = time.perf_counter()
            for check in _quietly(function):
                finished.append((check, time.perf_counter() - began))
                yield Verdict(system, part, *finished[-1])
                began = time.perf_counter()
            if not finished:
                raise AssertionError(f"{part} compares nothing")
            done[part] = finished


def _quietly(function: Callable[[], Iterator[Check]]) -> Iterator[Check]:
    """The checks, without transformers' remarks on tiny vocabularies."""
    from triptych.weights.quiet import silent

    with silent():
        yield from function()


def write(verdicts: Sequence[Verdict], path: Path, command: str) -> None:
    """Write a result file with hardware, versions, date and commit: a table for `.md`, everything for `.json`.

    Raises:
        ValueError: The name ends otherwise.
    """
    values = document(verdicts, command)
    match path.suffix:
        case ".json":
            write_atomically(path, json.dumps(values, indent=1) + "\n")
        case ".md":
            write_atomically(path, page(verdicts, values))
        case other:
            raise ValueError(f"{path}: expected a name that ends in .json or .md, got {other!r}")


def document(verdicts: Sequence[Verdict], command: str) -> dict[str, Any]:
    """Every comparison, and where it was made."""
    lines = [
        {"system": v.system, "part": v.part, **asdict(v.check), "equal": v.check.equal, "seconds": round(v.seconds, 3)}
        for v in verdicts
    ]
    return {"command": command, **describe("cpu"), "equal": all(v.check.equal for v in verdicts), "checks": lines}


def page(verdicts: Sequence[Verdict], values: dict[str, Any]) -> str:
    """The result as a Markdown page."""
    rows = [
        [
            verdict.system,
            verdict.check.what,
            f"`{verdict.check.reference}`",
            f"{verdict.check.difference:.1e}",
            f"{verdict.check.bound:.0e}",
            "✓" if verdict.check.equal else "✗",
        ]
        for verdict in verdicts
    ]
    head = ["system", "what", "reference", "largest difference", "bound", ""]
    return f"{table(head, rows, text=3)}\n\n{origin(values)}\n"
