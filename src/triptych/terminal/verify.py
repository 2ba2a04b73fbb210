"""The table of `triptych verify`."""

from __future__ import annotations

import shlex
import sys
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console
from rich.table import Table

from triptych.errors import TriptychError
from triptych.verify.run import Verdict, write
from triptych.verify.run import verify as run_checks


class OutputError(TriptychError):
    """The result cannot be written as asked."""


def verify(names: Sequence[str], output: Path | None) -> bool:
    """Run the checks of systems and print what they find.

    Returns:
        Whether everything is equal within its bound.

    Raises:
        OutputError: `output` is neither .json nor .md.
        UnknownSystem: One of the systems is not known.
    """
    if output is not None and output.suffix not in {".json", ".md"}:
        raise OutputError(f"--output {output}: expected a name that ends in .json or .md")
    console = Console()
    verdicts: list[Verdict] = []
    with console.status("comparing …") as status:
        for verdict in run_checks(names):
            verdicts.append(verdict)
            status.update(f"{verdict.system}: {verdict.check.what}")
    console.print(table(verdicts))
    wrong = [verdict for verdict in verdicts if not verdict.check.equal]
    console.print(
        f"[red]{len(wrong)} of {len(verdicts)} comparisons are beyond their bound[/]"
        if wrong
        else f"all {len(verdicts)} comparisons are within their bounds"
    )
    if output is not None:
        write(verdicts, output, shlex.join(["triptych", *sys.argv[1:]]))
        console.print(f"written: {output}", markup=False)
    return not wrong


def table(verdicts: Sequence[Verdict]) -> Table:
    """A line a comparison."""
    shown = Table()
    shown.add_column("system")
    shown.add_column("what")
    shown.add_column("reference", style="dim")
    shown.add_column("largest difference", justify="right")
    shown.add_column("")
    before = ""
    for verdict in verdicts:
        check = verdict.check
        if verdict.system != before and before:
            shown.add_section()
        shown.add_row(
            verdict.system if verdict.system != before else "",
            check.what,
            check.reference,
            f"{check.difference:.1e}" if check.difference else "0",
            "[green]✓[/]" if check.equal else f"[red]✗ > {check.bound:.0e}[/]",
        )
        before = verdict.system
    return shown
