"""The command line: one file per command in `triptych.cli.commands`."""

from triptych.cli.program import app, main

__all__ = ["app", "main"]
