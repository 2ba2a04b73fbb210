"""The program `triptych`."""

from __future__ import annotations

import sys
from typing import Any, NoReturn

import typer
from typer.core import TyperGroup

from triptych.cli.discovery import Commands
from triptych.errors import TriptychError


class CommandGroup(TyperGroup):
    """A group whose commands are those that are installed; each is imported when it is called, or when help lists all."""

    def __init__(self, **attributes: Any) -> None:
        super().__init__(**attributes)
        self.commands = Commands()  # type: ignore[assignment]  # only ever read


app = typer.Typer(
    name="triptych",
    cls=CommandGroup,
    callback=lambda: None,  # without one, Typer refuses an app that has no commands of its own
    help="Compose, train, question and measure multimodal large language models.\n\n"
    "Start with [bold]triptych train quickstart[/], then [bold]triptych evaluate runs/quickstart[/] and "
    "[bold]triptych chat runs/quickstart --image picture.png[/].",
    no_args_is_help=True,
    rich_markup_mode="rich",
    pretty_exceptions_enable=False,
    add_completion=True,
)


def main() -> None:
    """Run a command; an error meant for people is printed without a traceback, and so is what the system refuses."""
    from triptych.console import keep_out_other_bars

    keep_out_other_bars()
    try:
        app()
    except TriptychError as error:
        _complain(str(error))
    except OSError as error:
        from triptych.files import refused

        _complain(refused(error))


def _complain(message: str) -> NoReturn:
    from rich.console import Console
    from rich.markup import escape

    text = escape(message.encode("utf-8", "backslashreplace").decode())  # names of files need not be Unicode
    Console(stderr=True).print(f"[bold red]error:[/] {text}", highlight=False, soft_wrap=True)
    sys.exit(1)
