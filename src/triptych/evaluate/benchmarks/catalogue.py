"""Finding task files: those that come with the package, a folder each, and any of the user's own."""

from __future__ import annotations

import difflib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml
from pydantic import ValidationError

from triptych.errors import RecipeError
from triptych.evaluate.benchmarks.config import TaskFile

FOLDER = Path(__file__).parents[2] / "tasks"


def names() -> list[str]:
    """The names of the tasks that come with the package."""
    return sorted(path.parent.name for path in FOLDER.glob("*/task.yaml"))


def load(name: str | Path) -> TaskFile:
    """A task by its name, or by the path of its file or folder.

    Raises:
        RecipeError: There is no such task, or its file is malformed: file, line and reason are told.
    """
    path = FOLDER / str(name) / "task.yaml"
    if not path.exists():
        path = Path(name)
        path = path / "task.yaml" if path.is_dir() else path
    if not path.is_file() or path.suffix not in (".yaml", ".yml"):
        close = difflib.get_close_matches(str(name), names(), n=1)
        hint = f"; did you mean {close[0]!r}?" if close else ""
        raise RecipeError(
            f"there is no task {str(name)!r}{hint} (`triptych evaluate --list` shows all; a path may be given)"
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
        text = path.read_text("utf-8")
        node = yaml.compose(text, Loader=yaml.SafeLoader)
        values = yaml.safe_load(text)
    except OSError as error:
        raise RecipeError(f"{path}: cannot be read ({error.strerror})") from error
    except UnicodeDecodeError as error:
        raise RecipeError(f"{path}: not UTF-8 text ({error.reason})") from error
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        where = f":{mark.line + 1}" if mark is not None else ""
        raise RecipeError(f"{path}{where}: malformed YAML ({getattr(error, 'problem', error)})") from error
    if not isinstance(values, dict):
        raise RecipeError(f"{path}:1: a task file is a mapping of names to values, got {type(values).__name__}")
    values.setdefault("name", path.parent.name)
    try:
        return TaskFile.model_validate(values)
    except ValidationError as error:
        first = min(error.errors(), key=lambda found: found["type"] == "missing")  # a typo is also a missing field
        keys = [key for key in first["loc"] if key != first.get("ctx", {}).get("tag")]
        where = ".".join(str(key) for key in keys) or "the file"
        raise RecipeError(f"{path}:{_line(node, keys)}: {where}: {_reason(first)}") from error


def _reason(error: Any) -> str:
    if error["type"] == "extra_forbidden":
        return "there is no such setting"
    if error["type"] == "missing":
        return "is missing"
    return str(error["msg"]).removeprefix("Value error, ")


def _line(node: yaml.Node | None, keys: list[Any]) -> int:
    """The line on which the last of the nested keys stands, as far as they are there."""
    line = 1
    for key in keys:
        if isinstance(node, yaml.MappingNode):
            pair = next(((k, v) for k, v in node.value if k.value == str(key)), None)
            if pair is None:
                continue  # the tag of a union, or a key that is missing
            line, node = pair[0].start_mark.line + 1, pair[1]
        elif isinstance(node, yaml.SequenceNode) and isinstance(key, int) and key < len(node.value):
            node = node.value[key]
            line = node.start_mark.line + 1
    return line
