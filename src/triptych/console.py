"""Where commands print: as wide as a terminal, and nothing cut or coloured in a pipe or a file."""

from __future__ import annotations

import os

from rich.console import Console

UNBOUNDED = 1 << 20
"""Columns of a pipe or a file: whoever reads it wraps the lines."""


def make_console(stderr: bool = False, quiet: bool = False) -> Console:
    """Standard output, or standard error.

    Args:
        stderr: For what is said about the work, beside what a command gives out.
        quiet: Print nothing.
    """
    shown = Console(stderr=stderr, quiet=quiet)
    return shown if shown.is_terminal else Console(stderr=stderr, quiet=quiet, width=UNBOUNDED)


def keep_out_other_bars() -> None:
    """Have other libraries draw no bars where there is no terminal: in a log they are thousands of lines.

    For programs, before they import these libraries; variables that are set already stay as they are.
    """
    if not make_console(stderr=True).is_terminal:
        for name in ("TQDM_DISABLE", "HF_HUB_DISABLE_PROGRESS_BARS", "HF_DATASETS_DISABLE_PROGRESS_BARS"):
            os.environ.setdefault(name, "1")
