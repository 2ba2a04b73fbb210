"""`triptych report`."""

from __future__ import annotations

import typer

from triptych.cli.options import RunArgument

ORDER = 110


def report(run: RunArgument) -> None:
    """Write a run's `report.html` again."""
    from triptych.report import write_report

    typer.echo(write_report(run))
