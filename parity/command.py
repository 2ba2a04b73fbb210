"""The command `triptych verify`: runs the comparisons, prints their table, writes the result file."""

from __future__ import annotations

import shlex
import sys
from collections.abc import Sequence
from pathlib import Path

from rich.text import Text

from parity.run import Verdict, verify, write
from triptych.console import make_console
from triptych.errors import TriptychError
from triptych.progress import spinner
from triptych.tables import Column, Table


class OutputError(TriptychError):
    """The result cannot be written as asked."""


def run(names: Sequence[str], output: Path | None) -> bool:
    """Compare systems with their references and print the differences.

    Args:
        names: Of systems or presets; `all` is all of them.
        output: A result file, `.md` or `.json`; None for none.

    Returns:
        Whether everything is equal within its bound.

    Raises:
        OutputError: `output` is neither .json nor .md.
        UnknownSystem: One of the systems is not known.
    """
    if output is not None and output.suffix not in {".json", ".md"}:
        raise OutputError(f"--output {output}: expected a name that ends in .json or .md")
    console = make_console()
    verdicts: list[Verdict] = []
    with spinner("comparing …", console) as show:
        for verdict in verify(names):
            verdicts.append(verdict)
            show(f"{verdict.system}: {verdict.check.what}")
    console.print(table(verdicts))
    wrong = sum(not verdict.check.equal for verdict in verdicts)
    console.print(
        f"[red]{wrong} of {len(verdicts)} comparisons are beyond their bound[/]"
        if wrong
        else f"all {len(verdicts)} comparisons are within their bounds"
    )
    if output is not None:
        write(verdicts, output, shlex.join(["triptych", *sys.argv[1:]]))
        console.print(f"written: {output}", markup=False)
    return not wrong


def table(verdicts: Sequence[Verdict]) -> Table:
    """A line per comparison."""
    lines = Table(
        [
            Column("system", key=True, grouped=True),
            Column("what", key=True),
            Column("largest difference", number=True),
            Column("", number=True),
            Column("reference", style="dim"),
        ]
    )
    before = ""
    for verdict in verdicts:
        check = verdict.check
        if verdict.system != before and before:
            lines.section()
        lines.row(
            verdict.system,
            check.what,
            f"{check.difference:.1e}" if check.difference else "0",
            Text("✓", style="green") if check.equal else Text(f"✗ > {check.bound:.0e}", style="red"),
            check.reference,
        )
        before = verdict.system
    return lines
