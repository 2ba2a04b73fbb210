"""Laying changes over the plain values of a recipe: what `extends:`, the command line and studies do."""

from __future__ import annotations

import copy
import re
from typing import Any

from pydantic import ValidationError

from triptych.errors import RecipeError
from triptych.recipe.messages import unknown_fields
from triptych.recipe.schema import Recipe

MOST_STEPS = 30
"""In the dotted path of a change."""


def merged(base: Any, over: Any) -> Any:
    """`over` laid over `base`: mappings merge by key, unless they change `kind`; everything else, lists too, is replaced."""
    if not (isinstance(base, dict) and isinstance(over, dict)):
        return copy.deepcopy(over)
    if "kind" in over and over["kind"] != base.get("kind"):
        return copy.deepcopy(over)
    return {**base, **{key: merged(base.get(key), value) for key, value in over.items()}}


def change(values: dict[str, Any], path: str, value: Any, where: str, *, merge: bool) -> None:
    """Lay one change over values, in place. A `kind` alone takes with it what only the old kind had.

    Args:
        values: Of a recipe.
        path: Dotted; a number in it is a place in a list.
        value: What comes there.
        where: Whose change this is, for messages.
        merge: Mappings merge with what is there, instead of taking its place.

    Raises:
        RecipeError: The path leads through something that has no fields, or beyond the end of a list.
    """
    *parents, last = str(path).split(".")
    if len(parents) >= MOST_STEPS:
        raise RecipeError(f"{where}: the path has more than {MOST_STEPS} steps")
    target: Any = values
    for done, step in enumerate([*parents, last]):
        so_far = ".".join([*parents, last][:done])
        if isinstance(target, list):
            if not re.fullmatch(r"[0-9]{1,9}", step) or int(step) >= len(target):
                numbers = f"use 0 to {len(target) - 1}" if target else "it has no items"
                raise RecipeError(f"{where}: {so_far} is a list of {len(target)}; {numbers}")
            key: Any = int(step)
        elif isinstance(target, dict):
            key = step
            if done < len(parents) and target.get(key) is None:
                target[key] = {}
        else:
            raise RecipeError(f"{where}: {so_far} is a value, not a mapping")
        if done < len(parents):
            target = target[key]
    before = target[key] if isinstance(target, list) else target.get(key)
    target[key] = merged(before, value) if merge else value
    if last == "kind" and before != value:
        _drop_strangers(values, tuple(parents))


def _drop_strangers(values: dict[str, Any], parents: tuple[str, ...]) -> None:
    """Remove the fields of the mapping at `parents` that its kind does not have; what both kinds have stays."""
    try:
        Recipe.model_validate(values)
    except ValidationError as error:
        target: Any = values
        for step in parents:
            target = target[int(step) if isinstance(target, list) else step]
        for *above, field in unknown_fields(error, Recipe):
            if tuple(above) == parents:
                target.pop(field, None)
