"""From a study to recipes: the changes of a variant laid over the recipe."""

from __future__ import annotations

import copy
import hashlib
import json
from collections.abc import Mapping
from typing import Any

from triptych.paths import exists, resolved, user_path
from triptych.recipe import Recipe, load_recipe, parse_recipe
from triptych.recipe.changes import change
from triptych.study.config import StudyConfig

WITHOUT_EFFECT = {"name", "base", "loading"}
"""Fields of a recipe that change no result."""


def base_values(study: StudyConfig) -> dict[str, Any]:
    """The recipe that all variants start from, as plain values.

    Raises:
        RecipeError: It cannot be read or has mistakes.
    """
    if study.base is not None:
        base = str(resolved(user_path(str(study.base.get("base", ".")), study.folder)))
        recipe = parse_recipe({"name": study.name, **study.base, "base": base}, name=f"{study.name}: base")
    else:
        assert study.recipe is not None
        path = user_path(study.recipe, study.folder)
        recipe = load_recipe(path if exists(path) or path.suffix == ".yaml" else study.recipe)
    return recipe.model_dump(mode="json")


def variant_recipe(study: StudyConfig, base: Mapping[str, Any], variant: str, seed: int) -> Recipe:
    """The recipe of one run, before a budget sets its steps.

    Raises:
        RecipeError: The changes do not fit the recipe; the message names the variant.
    """
    where = f"the study {study.name}, variant {variant!r}"
    values = copy.deepcopy(dict(base))
    for path, value in study.variants[variant].changes.items():
        change(values, path, value, f"{where}: {path}", merge=True)
    return parse_recipe({**values, "name": f"{variant}-{seed}", "seed": seed}, name=where)


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
