"""`triptych verify` runs the folder `parity/` of a clone, which is no part of the installed package."""

from __future__ import annotations

import importlib
import importlib.util
import sys
from collections.abc import Sequence
from pathlib import Path
from types import ModuleType

from triptych.errors import TriptychError

CLONE = Path(__file__).resolve().parents[3]
"""The clone that this package runs from, where it runs from one."""


class ParityMissing(TriptychError):
    """The comparisons are not here."""


def verify(names: Sequence[str], output: Path | None) -> bool:
    """Compare systems with their reference implementations and print the differences.

    Args:
        names: Of systems or presets; `all` is all of them.
        output: A result file, `.md` or `.json`; None for none.

    Returns:
        Whether everything is equal within its bound.

    Raises:
        ParityMissing: There is no clone of Triptych to run the comparisons from.
        TriptychError: A system is not known, or the output is of another kind.
    """
    parity()
    return bool(importlib.import_module("parity.command").run(names, output))


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
