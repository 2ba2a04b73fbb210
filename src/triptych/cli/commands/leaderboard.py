"""`triptych leaderboard`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

ORDER = 30


def leaderboard(
    runs: Annotated[list[Path], typer.Argument(help="Folders with results.", show_default=False)],
    output: Annotated[
        Path,
        typer.Option("--output", "-o", help="The folder for leaderboard.html, .md and the pages of disagreements."),
    ] = Path("leaderboard"),
) -> None:
    """Rank models by benchmark: intervals, cost, what was unparsed, and where two models disagree, with the pictures."""
    from triptych.report.leaderboard import write_leaderboard

    typer.echo(write_leaderboard(runs, output))
