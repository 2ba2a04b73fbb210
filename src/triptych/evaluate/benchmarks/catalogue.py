"""Finding task files: those that come with the package, a folder each, and any of the user's own."""

from __future__ import annotations

import difflib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from triptych.errors import RecipeError, quoted
from triptych.evaluate.benchmarks.config import TaskFile
from triptych.paths import exists, user_path
from triptych.yaml_file import read_yaml_file

FOLDER = Path(__file__).parents[2] / "tasks"


def names() -> list[str]:
    """The names of the tasks that come with the package."""
    return sorted(path.parent.name for path in FOLDER.glob("*/task.yaml"))


def load(name: str | Path) -> TaskFile:
    """A task by its name, or by the path of its file or folder.

    Raises:
        RecipeError: There is no such task, or its file is malformed: file, line and reason are told.
    """
    path = user_path(name)
    path = next((file for file in (FOLDER / path / "task.yaml", path / "task.yaml") if exists(file)), path)
    if not exists(path) or path.suffix not in (".yaml", ".yml"):
        close = difflib.get_close_matches(str(name)[:100], names(), n=1)
        hint = f"; did you mean {close[0]!r}?" if close else ""
        raise RecipeError(
            f"there is no task {quoted(str(name))}{hint} (`triptych evaluate --list` shows all; a path may be given)"
        )
    return read(path)


def everything() -> Iterator[TaskFile]:
    """All tasks that come with the package."""
    for name in names():
        yield load(name)


def read(path: Path) -> TaskFile:
    """The task that a file describes.

    Raises:
        RecipeError: The file is malformed: file, line and reason are told.
    """
    try:
        document = read_yaml_file(path)
    except OSError as error:
        raise RecipeError(f"{path}: cannot be read ({error.strerror})") from error
    values = document.values
    if not isinstance(values, dict):
        got = "nothing" if values is None else type(values).__name__
        raise RecipeError(f"{path}:1: a task file is a mapping of names to values, got {got}")
    values.setdefault("name", path.parent.name)
    try:
        return TaskFile.model_validate(values)
    except ValidationError as error:
        first = min(error.errors(), key=lambda found: found["type"] == "missing")  # a typo is also a missing field
        keys = [key for key in first["loc"] if key != first.get("ctx", {}).get("tag")]
        where = ".".join(str(key)[:80] for key in keys) or "the file"
        raise RecipeError(f"{path}:{document.line(keys)[1]}: {where}: {_reason(first)}") from error


def _reason(error: Any) -> str:
    if error["type"] == "extra_forbidden":
        return "there is no such setting"
    if error["type"] == "missing":
        return "is missing"
    return str(error["msg"]).removeprefix("Value error, ")[:500]
