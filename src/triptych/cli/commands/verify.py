"""`triptych verify` runs the folder `parity/` of a clone, which is no part of the installed package."""

from __future__ import annotations

import importlib
import importlib.util
import sys
from pathlib import Path
from types import ModuleType
from typing import Annotated, Optional

import typer

from triptych.errors import TriptychError

ORDER = 150
CLONE = Path(__file__).resolve().parents[4]
"""The clone that this package runs from, where it runs from one."""


class ParityMissing(TriptychError):
    """The comparisons are not here."""


def verify(
    names: Annotated[list[str], typer.Argument(help="Systems, such as llava; or all.", show_default=False)],
    output: Annotated[
        Optional[Path], typer.Option("--output", "-o", help="Write the result to this .json or .md file.")
    ] = None,
) -> None:
    """Compare systems with their reference implementations, number by number, on tiny random weights.

    `triptych verify llava blip-2` compares two systems, `triptych verify formats` every format that checkpoints come in and
    go out in, and `triptych verify all -o verify.md` everything. It fails where a number is beyond its bound.
    """
    parity()
    if not importlib.import_module("parity.command").run(names, output):
        raise typer.Exit(1)


def parity(clone: Path = CLONE) -> ModuleType:
    """The package `parity`: beside the sources of this one, otherwise where Python finds it.

    Raises:
        ParityMissing: It is in neither place, or it is another project's.
    """
    if (clone / "parity" / "command.py").is_file() and str(clone) not in sys.path:
        sys.path.insert(0, str(clone))
    if importlib.util.find_spec("parity") is not None:
        package = importlib.import_module("parity")
        if getattr(package, "PROJECT", None) == "triptych":
            return package
    raise ParityMissing(
        "`triptych verify` runs the folder parity/ of Triptych's repository, which the installed package does not have: "
        "clone the repository, and put the clone's folder into PYTHONPATH or install from it (`pip install -e .`)"
    )
