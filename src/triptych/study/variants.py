"""From a study to recipes: the changes of a variant laid over the recipe."""

from __future__ import annotations

import copy
import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from triptych.errors import RecipeError
from triptych.recipe import Recipe, load_recipe, parse_recipe
from triptych.study.config import StudyConfig

WITHOUT_EFFECT = {"name", "base", "loading"}
"""Fields of a recipe that change no result."""


def base_values(study: StudyConfig) -> dict[str, Any]:
    """The recipe that all variants start from, as plain values.

    Raises:
        RecipeError: It cannot be read or has mistakes.
    """
    if study.base is not None:
        base = str((Path(study.folder) / str(study.base.get("base", "."))).resolve())
        recipe = parse_recipe({"name": study.name, **study.base, "base": base}, name=f"{study.name}: base")
    else:
        assert study.recipe is not None
        path = Path(study.folder) / study.recipe
        recipe = load_recipe(path if path.exists() or path.suffix == ".yaml" else study.recipe)
    return recipe.model_dump(mode="json")


def variant_recipe(study: StudyConfig, base: Mapping[str, Any], variant: str, seed: int) -> Recipe:
    """The recipe of one run, before a budget sets its steps.

    Raises:
        RecipeError: The changes do not fit the recipe; the message names the variant.
    """
    where = f"the study {study.name}, variant {variant!r}"
    values = copy.deepcopy(dict(base))
    for path, value in study.variants[variant].changes.items():
        change(values, path, value, where)
    return parse_recipe({**values, "name": f"{variant}-{seed}", "seed": seed}, name=where)


def change(values: dict[str, Any], path: str, value: Any, where: str) -> None:
    """Lay one change over values in place; `path` may be dotted, a number in it is a place in a list.

    Mappings merge, unless they change `kind`; everything else, lists too, is replaced.

    Raises:
        RecipeError: The path leads through something that has no fields, or beyond the end of a list.
    """
    *parents, last = str(path).split(".")
    target: Any = values
    for done, step in enumerate([*parents, last]):
        so_far = ".".join([*parents, last][:done])
        if isinstance(target, list):
            if not step.isdigit() or int(step) >= len(target):
                raise RecipeError(f"{where}: {path}: {so_far} is a list of {len(target)}; use 0 to {len(target) - 1}")
            key: Any = int(step)
        elif isinstance(target, dict):
            key = step
            if done < len(parents) and target.get(key) is None:
                target[key] = {}
        else:
            raise RecipeError(f"{where}: {path}: {so_far} is a value, not a mapping")
        if done == len(parents):
            before = target[key] if isinstance(target, list) else target.get(key)
            target[key] = merged(before, value)
        else:
            target = target[key]


def merged(base: Any, over: Any) -> Any:
    """`over` laid over `base`, as `extends:` does."""
    if not (isinstance(base, dict) and isinstance(over, dict)):
        return copy.deepcopy(over)
    if "kind" in over and over["kind"] != base.get("kind"):
        return copy.deepcopy(over)
    return {**base, **{key: merged(base.get(key), value) for key, value in over.items()}}


def fingerprint(recipe: Recipe, also_without: frozenset[str] | set[str] = frozenset()) -> str:
    """A hash of everything in a recipe that can change a result."""
    values = recipe.model_dump(mode="json", exclude=WITHOUT_EFFECT | also_without)
    return hashlib.sha256(json.dumps(values, sort_keys=True).encode()).hexdigest()[:16]


def differing(before: Recipe, now: Recipe) -> list[str]:
    """What differs between two recipes and can change a result: `field: before → now`."""
    old, new = (flat(recipe.model_dump(mode="json", exclude=WITHOUT_EFFECT)) for recipe in (before, now))
    return [
        f"{key}: {old.get(key)!r} → {new.get(key)!r}"
        for key in dict.fromkeys([*old, *new])
        if old.get(key) != new.get(key)
    ]


def flat(value: Any, prefix: str = "") -> dict[str, Any]:
    """Nested values by dotted path."""
    if isinstance(value, dict) and value:
        return {k: v for key, item in value.items() for k, v in flat(item, f"{prefix}{key}.").items()}
    if isinstance(value, list) and value:
        return {k: v for i, item in enumerate(value) for k, v in flat(item, f"{prefix}{i}.").items()}
    return {prefix.rstrip("."): value}
