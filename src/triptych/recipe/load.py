"""Reading recipes: YAML, presets by name, `extends:`, and overrides such as `stages.0.learning_rate=1e-3`."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import yaml
from pydantic import ValidationError

from triptych.errors import RecipeError
from triptych.recipe.changes import change, merged
from triptych.recipe.combinations import mistakes
from triptych.recipe.messages import explain, unknown_name
from triptych.recipe.schema import Recipe

PRESETS = Path(__file__).parent / "presets"
"""The recipes that come with Triptych."""


class _Loader(yaml.SafeLoader):
    """YAML 1.1 reads `1e-3` as a string; people mean a number."""


class _Dumper(yaml.SafeDumper):
    """Puts a string that would be read as a number into quotes."""


for _resolver in (_Loader, _Dumper):
    _resolver.add_implicit_resolver(
        "tag:yaml.org,2002:float",
        re.compile(r"^[-+]?[0-9][0-9_]*(\.[0-9_]*)?[eE][-+]?[0-9]+$"),
        list("-+0123456789"),
    )


def read_yaml(text: str) -> Any:
    """YAML as recipes are written: `1e-3` is a number. Raises yaml.YAMLError."""
    return yaml.load(text, Loader=_Loader)


def write_yaml(values: Any) -> str:
    """YAML that `read_yaml` reads back the same."""

    def written(as_it_is: bool) -> str:
        return yaml.dump(values, Dumper=_Dumper, sort_keys=False, allow_unicode=as_it_is, width=110)

    text = written(True)
    return written(False) if "\x85" in text else text  # a line's end that PyYAML writes as it is and does not read back


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
    path, asked = _located(Path(path)), path
    values = _read(path, ())
    for override in overrides:
        _override(values, override)
    base = Path() if path.parent == PRESETS else path.parent
    return parse_recipe({"name": path.stem, "base": str(base), **values}, name=str(asked))


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
    return preset_path(str(path)) if not path.exists() and str(path) in preset_names() else path


def parse_recipe(values: dict[str, Any], name: str = "recipe") -> Recipe:
    """A recipe from plain values; a relative `base` starts at the current folder.

    Raises:
        RecipeError: The values do not fit the schema, or parts do not go together.
    """
    base = values.get("base", ".")
    if isinstance(base, str):  # a run's recipe must mean the same wherever it is read again
        values = {**values, "base": str(Path(base).expanduser().resolve())}
    try:
        recipe = Recipe.model_validate(values)
    except ValidationError as error:
        raise _refusal(name, explain(error, Recipe)) from None
    if found := mistakes(recipe):
        raise _refusal(name, found)
    return recipe


def _refusal(name: str, found: list[str]) -> RecipeError:
    lines = "\n".join(f"  {line}" for line in found)
    return RecipeError(f"{name} has {len(found)} mistake(s):\n{lines}")


def dump_recipe(recipe: Recipe) -> str:
    """The recipe as YAML, every default written out."""
    return write_yaml(recipe.model_dump(mode="json"))


def _read(path: Path, extended_by: tuple[Path, ...]) -> dict[str, Any]:
    where = f" (extended by {extended_by[-1]})" if extended_by else ""
    if path.resolve() in [other.resolve() for other in extended_by]:
        raise RecipeError(
            f"{path}: recipes extend each other in a circle: {' → '.join(map(str, (*extended_by, path)))}"
        )
    try:
        values = yaml.load(path.read_text(encoding="utf-8"), Loader=_Loader)
    except OSError as error:
        near = _nearby(path)
        raise RecipeError(f"{path}: cannot be read ({error.strerror}){where}{near}") from None
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise RecipeError(f"{path}: not valid YAML: {error}") from None
    if not isinstance(values, dict):
        raise RecipeError(f"{path}: a recipe is a mapping of fields, got {type(values).__name__}")
    if isinstance(values.get("base"), str):
        values["base"] = str((path.parent / Path(values["base"]).expanduser()).resolve())
    parent = values.pop("extends", None)
    if parent is None:
        return values
    if not isinstance(parent, str):
        raise RecipeError(f"{path}: extends: expected the path of a recipe or the name of a preset, got {parent!r}")
    here = path.parent / parent
    is_preset = not here.exists() and parent in preset_names()
    base = _read(preset_path(parent) if is_preset else here, (*extended_by, path))
    base.pop("name", None)
    laid: dict[str, Any] = merged(base, values)
    return laid


def _nearby(path: Path) -> str:
    if not path.parent.is_dir():
        return ""
    presets = preset_names() if path.parent == Path() else []
    return f"; {unknown_name(path.name, [other.name for other in path.parent.glob('*.yaml')] + presets)}"


def _override(values: dict[str, Any], override: str) -> None:
    path, separator, text = override.partition("=")
    if not separator or not path:
        raise RecipeError(f"override {override!r}: expected dotted.path=value, for example stages.0.steps=50")
    try:
        value = yaml.load(text, Loader=_Loader)
    except yaml.YAMLError as error:
        raise RecipeError(f"override {override!r}: the value is not valid YAML: {error}") from None
    change(values, path, value, f"override {override!r}", merge=False)
