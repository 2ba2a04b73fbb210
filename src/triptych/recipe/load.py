"""Reading recipes: YAML, presets by name, `extends:`, and overrides such as `stages.0.learning_rate=1e-3`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from triptych.conversation.modalities import declare
from triptych.errors import RecipeError, quoted
from triptych.paths import exists, resolved, user_path
from triptych.recipe.changes import change, merged
from triptych.recipe.included import PRESETS, included, named, nearest
from triptych.recipe.messages import all_mistakes, explain, located
from triptych.recipe.schema import Recipe
from triptych.trusted import require_trust
from triptych.yaml_file import Document, read_yaml, read_yaml_file, write_yaml

OF_A_RUN = ("run.json", "weights/model.safetensors")
"""Files beside `recipe.yaml` either of which makes its folder a run's; whoever made the folder may have left one out."""

MOST_EXTENDED = 32
"""Recipes that extend each other, one after the other."""


def load_recipe(path: str | Path, overrides: Sequence[str] = ()) -> Recipe:
    """Read a recipe file, what it extends, and the overrides on top.

    Args:
        path: A YAML file, or the name of a recipe or preset that comes with Triptych (`quickstart`, `llava-mini`), unless
            there is a file or folder of that name. Relative paths in a file (its `base` too) start at the file's folder,
            those of a preset at the current folder, and those of a recipe by name at `recipes/` in the current folder.
        overrides: `dotted.path=value`; the value is YAML; a number in the path is a place in a list. A `base` given
            here starts at the current folder.

    Raises:
        RecipeError: The file cannot be read, or the recipe has mistakes; the message names each with its
            path, what is allowed and the nearest match. Or it is a run's and names code that is not trusted (`triptych.trust`).
    """
    file = _located(user_path(path))
    values, documents = _read(file, ())
    for override in overrides:
        _override(values, override)
    return _validated({"name": file.path.stem, "base": str(file.folder), **values}, str(path), documents, overrides)


@dataclass(frozen=True)
class _File:
    """A recipe's file, and the folder that its relative paths start from."""

    path: Path
    folder: Path


def _located(path: Path) -> _File:
    """A file, or what comes with Triptych by that name where there is no such file."""
    known = named(path, "recipe", "preset")
    if known is not None:
        return _File(known.path, known.folder)
    return _File(path, Path() if path.parent == PRESETS else path.parent)


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
        _declare_media(recipe)
        found = [*recipe.model.mistakes(recipe)]
    except ValidationError as error:
        found = explain(error, Recipe)
    if found:
        raise RecipeError(all_mistakes(name, [located(line, documents, overrides) for line in found]))
    return recipe


def _declare_media(recipe: Recipe) -> None:
    """Readers of data then know the media that the recipe's encoders take; nothing is imported yet."""
    for modality, kind in recipe.model.declares.items():
        declare(modality, kind)


def dump_recipe(recipe: Recipe) -> str:
    """The recipe as YAML, every default written out."""
    return write_yaml(recipe.model_dump(mode="json"))


def _read(file: _File, extended_by: tuple[Path, ...]) -> tuple[dict[str, Any], list[Document]]:
    """The values of a file laid over those of what it extends; the files, this one first."""
    path = file.path
    where = f" (extended by {extended_by[-1]})" if extended_by else ""
    if resolved(path) in [resolved(other) for other in extended_by]:
        raise RecipeError(
            f"{path}: recipes extend each other in a circle: {' → '.join(map(str, (*extended_by, path)))}"
        )
    if len(extended_by) >= MOST_EXTENDED:
        raise RecipeError(f"{path}: more than {MOST_EXTENDED} recipes extend each other")
    if path.is_dir():
        hint = f"; did you mean {str(path / 'recipe.yaml')!r}?" if exists(path / "recipe.yaml") else ""
        raise RecipeError(f"{path}: is a folder, expected a YAML file{where}{hint}")
    try:
        document = read_yaml_file(path)
    except OSError as error:
        raise RecipeError(f"{path}: cannot be read ({error.strerror}){where}{_nearby(path)}") from None
    values = document.values
    if not isinstance(values, dict):
        got = "nothing" if values is None else type(values).__name__
        raise RecipeError(f"{path}:1: a recipe is a mapping of fields, got {got}")
    if path.name == "recipe.yaml" and any(exists(path.parent / name) for name in OF_A_RUN):
        require_trust(values, path.parent)  # a recipe that extends that of a run has its code, too
    if isinstance(values.get("base"), str):
        values["base"] = str(resolved(user_path(values["base"], file.folder)))
    parent = values.pop("extends", None)
    if parent is None:
        return values, [document]
    line = f"{path}:{document.line(['extends'])[1]}"
    if not isinstance(parent, str):
        raise RecipeError(
            f"{line}: extends: expected the path of a recipe or the name of one that comes with Triptych, got {quoted(parent)}"
        )
    here = user_path(parent, path.parent)
    known = included("recipe", "preset").get(parent) if not exists(here) else None
    # Relative paths need not start at the file's own folder, so the way from one file to the other is taken in both.
    start = user_path(known.folder, file.folder) if known else user_path(parent, file.folder).parent
    other = _File(known.path if known else here, start)
    base, documents = _read(other, (*extended_by, path))
    base.pop("name", None)
    laid: dict[str, Any] = merged(base, values)
    return laid, [document, *documents]


def _nearby(path: Path) -> str:
    files = [other.name for other in path.parent.glob("*.yaml")] if exists(path.parent) else []
    return nearest(str(path) if path.parent == Path() else path.name, "recipe", "preset", files=files)


def _override(values: dict[str, Any], override: str) -> None:
    path, separator, text = override.partition("=")
    where = f"override {quoted(override)}"
    if not separator or not path:
        raise RecipeError(f"{where}: expected dotted.path=value, for example stages.0.steps=50")
    change(values, path, read_yaml(text, f"{where}: the value"), where, merge=False)
