"""Reading recipes: YAML, presets by name, `extends:`, and overrides such as `stages.0.learning_rate=1e-3`."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from triptych.errors import RecipeError, quoted
from triptych.paths import exists, resolved, user_path
from triptych.recipe.changes import change, merged
from triptych.recipe.combinations import mistakes
from triptych.recipe.messages import all_mistakes, explain, located, unknown_name
from triptych.recipe.schema import Recipe
from triptych.yaml_file import Document, read_yaml, read_yaml_file, write_yaml

PRESETS = Path(__file__).parent / "presets"
"""The recipes that come with Triptych."""

MOST_EXTENDED = 32
"""Recipes that extend each other, one after the other."""


def load_recipe(path: str | Path, overrides: Sequence[str] = ()) -> Recipe:
    """Read a recipe file, what it extends, and the overrides on top.

    Args:
        path: A YAML file, or the name of a preset (`llava-mini`) where there is no such file. Relative paths in a preset
            start at the current folder, those in a file (its `base` too) at the file's.
        overrides: `dotted.path=value`; the value is YAML; a number in the path is a place in a list. A `base` given
            here starts at the current folder.

    Raises:
        RecipeError: The file cannot be read, or the recipe has mistakes; the message names each with its
            path, what is allowed and the nearest match.
    """
    path, asked = _located(user_path(path)), path
    values, documents = _read(path, ())
    for override in overrides:
        _override(values, override)
    base = Path() if path.parent == PRESETS else path.parent
    return _validated({"name": path.stem, "base": str(base), **values}, str(asked), documents, overrides)


def preset_names() -> list[str]:
    """The names of all presets."""
    return sorted(path.stem for path in PRESETS.glob("*.yaml"))


def preset_path(name: str) -> Path:
    """Where a preset is.

    Raises:
        RecipeError: There is none of that name; the message has the nearest one.
    """
    if name not in preset_names():
        raise RecipeError(f"preset {unknown_name(name, preset_names())}")
    return PRESETS / f"{name}.yaml"


def _located(path: Path) -> Path:
    """A file, or the preset of that name where there is no such file."""
    return preset_path(str(path)) if not exists(path) and str(path) in preset_names() else path


def parse_recipe(values: dict[str, Any], name: str = "recipe") -> Recipe:
    """A recipe from plain values; a relative `base` starts at the current folder.

    Raises:
        RecipeError: The values do not fit the schema, or parts do not go together.
    """
    return _validated(values, name, (), ())


def _validated(values: dict[str, Any], name: str, documents: Sequence[Document], overrides: Sequence[str]) -> Recipe:
    base = values.get("base", ".")
    if isinstance(base, str):  # a run's recipe must mean the same wherever it is read again
        values = {**values, "base": str(resolved(user_path(base)))}
    try:
        recipe = Recipe.model_validate(values)
        found = mistakes(recipe)
    except ValidationError as error:
        found = explain(error, Recipe)
    if found:
        raise RecipeError(all_mistakes(name, [located(line, documents, overrides) for line in found]))
    return recipe


def dump_recipe(recipe: Recipe) -> str:
    """The recipe as YAML, every default written out."""
    return write_yaml(recipe.model_dump(mode="json"))


def _read(path: Path, extended_by: tuple[Path, ...]) -> tuple[dict[str, Any], list[Document]]:
    """The values of a file laid over those of what it extends; the files, this one first."""
    where = f" (extended by {extended_by[-1]})" if extended_by else ""
    if resolved(path) in [resolved(other) for other in extended_by]:
        raise RecipeError(
            f"{path}: recipes extend each other in a circle: {' → '.join(map(str, (*extended_by, path)))}"
        )
    if len(extended_by) >= MOST_EXTENDED:
        raise RecipeError(f"{path}: more than {MOST_EXTENDED} recipes extend each other")
    try:
        document = read_yaml_file(path)
    except OSError as error:
        raise RecipeError(f"{path}: cannot be read ({error.strerror}){where}{_nearby(path)}") from None
    values = document.values
    if not isinstance(values, dict):
        got = "nothing" if values is None else type(values).__name__
        raise RecipeError(f"{path}:1: a recipe is a mapping of fields, got {got}")
    if isinstance(values.get("base"), str):
        values["base"] = str(resolved(user_path(values["base"], path.parent)))
    parent = values.pop("extends", None)
    if parent is None:
        return values, [document]
    line = f"{path}:{document.line(['extends'])[1]}"
    if not isinstance(parent, str):
        raise RecipeError(
            f"{line}: extends: expected the path of a recipe or the name of a preset, got {quoted(parent)}"
        )
    here = user_path(parent, path.parent)
    is_preset = not exists(here) and parent in preset_names()
    base, documents = _read(preset_path(parent) if is_preset else here, (*extended_by, path))
    base.pop("name", None)
    laid: dict[str, Any] = merged(base, values)
    return laid, [document, *documents]


def _nearby(path: Path) -> str:
    if not exists(path.parent):
        return ""
    presets = preset_names() if path.parent == Path() else []
    return f"; {unknown_name(path.name, [other.name for other in path.parent.glob('*.yaml')] + presets)}"


def _override(values: dict[str, Any], override: str) -> None:
    path, separator, text = override.partition("=")
    where = f"override {quoted(override)}"
    if not separator or not path:
        raise RecipeError(f"{where}: expected dotted.path=value, for example stages.0.steps=50")
    change(values, path, read_yaml(text, f"{where}: the value"), where, merge=False)
