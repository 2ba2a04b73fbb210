"""The table of `triptych verify`."""

from __future__ import annotations

import shlex
import sys
from collections.abc import Sequence
from pathlib import Path

from rich.text import Text

from triptych.console import make_console
from triptych.errors import TriptychError
from triptych.progress import spinner
from triptych.tables import Column, Table
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
    console = make_console()
    verdicts: list[Verdict] = []
    with spinner("comparing …", console) as say:
        for verdict in run_checks(names):
            verdicts.append(verdict)
            say(f"{verdict.system}: {verdict.check.what}")
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
    shown = Table(
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
            shown.section()
        shown.row(
            verdict.system,
            check.what,
            f"{check.difference:.1e}" if check.difference else "0",
            Text("✓", style="green") if check.equal else Text(f"✗ > {check.bound:.0e}", style="red"),
            check.reference,
        )
        before = verdict.system
    return shown
