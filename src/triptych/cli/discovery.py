"""Finding the commands: modules of `triptych.cli.commands`, and entry points of installed packages.

A module (or a folder) `NAME` of `triptych.cli.commands` holds a function `NAME`, whose signature and docstring are the
command's options and help, or a `typer.Typer` for a group of commands; its number `ORDER` is its place in `triptych --help`. A
package adds commands of its own by entry points of the group `triptych.command`: `NAME = "package.module:function"`.
"""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Callable, Iterator, Mapping
from functools import cached_property
from types import ModuleType
from typing import TYPE_CHECKING, Any

import typer
from typer.main import get_group

from triptych.cli import commands
from triptych.errors import TriptychError, one_line

if TYPE_CHECKING:
    from importlib.metadata import EntryPoint

ENTRY_POINTS = "triptych.command"
"""The group of entry points."""


class CommandError(TriptychError):
    """The command of an installed package cannot be loaded."""


class Commands(Mapping[str, Any]):
    """Click's commands by name: Triptych's own by their `ORDER`, then those of installed packages by name.

    A command is imported when it is looked up, and all of them when they are listed. A command of a package whose name is taken
    is called `PACKAGE:NAME`. One that cannot be loaded is in the list, with the reason as its help, and fails when it is called.
    """

    def __init__(self) -> None:
        self._own = {_command_name(module.name): module.name for module in pkgutil.iter_modules(commands.__path__)}
        self._built: dict[str, Any] = {}

    @cached_property
    def _installed(self) -> dict[str, EntryPoint]:
        """Entry points; looked for only where a name is none of Triptych's own, since this reads a file per package."""
        from importlib.metadata import entry_points

        named: dict[str, EntryPoint] = {}
        for entry in sorted(entry_points(group=ENTRY_POINTS), key=lambda entry: (entry.name, _package(entry))):
            taken = entry.name in self._own or entry.name in named
            named[f"{_package(entry)}:{entry.name}" if taken else entry.name] = entry
        return named

    def __getitem__(self, name: str) -> Any:
        if name not in self._built:
            if name in self._own:
                self._built[name] = build(name, getattr(self._module(name), self._own[name]))
            else:
                self._built[name] = _build_installed(name, self._installed[name])
        return self._built[name]

    def __iter__(self) -> Iterator[str]:
        yield from sorted(self._own, key=lambda name: self._module(name).ORDER)
        yield from self._installed

    def __len__(self) -> int:
        return len(self._own) + len(self._installed)

    def _module(self, name: str) -> ModuleType:
        return importlib.import_module(f"{commands.__name__}.{self._own[name]}")


def build(name: str, target: Callable[..., Any] | typer.Typer, **settings: Any) -> Any:
    """The command of click that Typer makes of a function or of a group.

    Args:
        name: What it is called on the command line.
        target: The function or the group.
        settings: Click's `context_settings` of a function.

    Raises:
        TypeError: The target is neither.
    """
    app = typer.Typer(rich_markup_mode="rich")
    if isinstance(target, typer.Typer):
        app.add_typer(target, name=name)
    elif callable(target):
        app.command(name, context_settings=settings)(target)
    else:
        raise TypeError(f"expected a function or a typer.Typer, not {type(target).__name__}")
    return get_group(app).commands[name]


def _build_installed(name: str, entry: EntryPoint) -> Any:
    try:
        return build(name, entry.load())
    except Exception as error:  # code of another package may raise anything, and the other commands must still run
        message = (
            f"the command {name} of the package {_package(entry)} cannot be loaded from {entry.value} "
            f"({type(error).__name__}: {one_line(error)}); install a version of it that works, or uninstall it"
        )

        def fail() -> None:
            raise CommandError(message)

        from rich.markup import escape

        fail.__doc__ = escape(message[0].upper() + message[1:] + ".")
        return build(name, fail, allow_extra_args=True, ignore_unknown_options=True)


def _command_name(module: str) -> str:
    """`import_` is `import`, which no module can be called; `a_b` is `a-b`."""
    return module.rstrip("_").replace("_", "-")


def _package(entry: EntryPoint) -> str:
    return entry.dist.name if entry.dist is not None else entry.value.split(":")[0]
