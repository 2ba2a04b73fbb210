"""`triptych doctor`."""

from __future__ import annotations

import typer

from triptych.console import make_console

ORDER = 180


def doctor() -> None:
    """Check this machine: versions, devices, weights at hand, what is missing and how to get it."""
    from triptych.doctor import diagnose, render

    checks = diagnose()
    make_console().print(render(checks))
    if any(check.status == "fail" for check in checks):
        raise typer.Exit(1)
