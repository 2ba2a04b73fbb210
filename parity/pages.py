"""Pages of results in Markdown: tables, and the line that says where a result came from."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

RESULTS = Path(__file__).parents[1] / "benchmarks" / "results"
"""Where results that the documentation names are kept."""


def table(head: Sequence[str], rows: Sequence[Sequence[str]], text: int = 1) -> str:
    """A Markdown table: the first `text` columns to the left, figures to the right."""
    lines = [head, ["---"] * text + ["---:"] * (len(head) - text), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def origin(values: dict[str, Any]) -> str:
    """Command, hardware, versions, commit and date of a result.

    Args:
        values: Of `triptych.environment.describe`, and `command`.
    """
    hardware, versions = values["hardware"], values["versions"]
    packages = ", ".join(f"{name} {version}" for name, version in versions.items())
    return (
        f"`{values['command']}` · {hardware['cpu']}, {hardware['cores']} cores, {hardware['memory_gib']} GiB, "
        f"{hardware['device']} · Triptych {values['triptych']}, commit {(values['commit'] or 'unknown')[:12]}"
        f"{'+changes' if (values['commit'] or '').endswith('+changes') else ''} · {packages} · {values['date']}"
    )
