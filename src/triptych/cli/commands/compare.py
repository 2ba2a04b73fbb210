"""`triptych compare`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Optional

import typer

from triptych.console import make_console

ORDER = 100


def compare(
    runs: Annotated[list[Path], typer.Argument(help="The folders of runs.", show_default=False)],
    html: Annotated[Optional[Path], typer.Option("--html", help="Write the table and the plot to this page.")] = None,
    plot: Annotated[Optional[Path], typer.Option("--plot", help="Write the plot to this PNG file.")] = None,
) -> None:
    """Put runs side by side: scores with intervals, and what they cost."""
    from triptych.report import compare_html, compare_plot, compare_table

    make_console().print(compare_table(runs))
    if html is not None:
        compare_html(runs, html)
    if plot is not None:
        compare_plot(runs, plot)
