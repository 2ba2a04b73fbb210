"""Code that recipes name: a recipe with `kind: my_package.module:MyClass` runs that code.

Whoever trains a recipe has chosen its code, which is remembered by name. A run's folder may come from anywhere: where its
recipe names code that was never trained with here, it is refused until the user says that the code may run.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from typing import Any

from triptych.errors import FolderError, RecipeError, TriptychError
from triptych.files import read_object, write_atomically
from triptych.registry import code_names
from triptych.weights import cache_folder

ALLOW = "TRIPTYCH_TRUST_CODE"
"""Environment variable: `1` lets every run's code run."""


def require_trust(values: Any, run: Path) -> None:
    """Return where a run's recipe names no code, or only code that may run.

    Args:
        values: The recipe as plain values.
        run: The run's folder.

    Raises:
        RecipeError: It names other code.
    """
    unknown = sorted(set(code_names(values)) - trusted())
    if unknown and os.environ.get(ALLOW) != "1":
        raise RecipeError(
            f"{run}: its recipe names code that was never trained with here: {', '.join(unknown)}. Reading or loading the run "
            f"would run it. Look at that code first; then set {ALLOW}=1 in the environment, or call "
            "`triptych.trust(...)` with these names, which is remembered"
        )


def trust(names: Iterable[str]) -> None:
    """Remember that code may run, by its names as recipes write them (`my_package.module:MyClass`)."""
    names, known = set(names), trusted()
    if not names <= known:
        with suppress(FolderError):  # where nothing can be remembered, the user is asked again
            _file().parent.mkdir(parents=True, exist_ok=True)
            write_atomically(_file(), json.dumps({"trusted": sorted(known | names)}, indent=2) + "\n")


def trusted() -> set[str]:
    """The names of code that may run."""
    try:
        names = read_object(_file(), RecipeError).get("trusted", []) if _file().exists() else []
    except TriptychError:
        return set()
    return {name for name in names if isinstance(name, str)} if isinstance(names, list) else set()


def _file() -> Path:
    return cache_folder() / "trusted-code.json"
