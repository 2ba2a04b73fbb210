"""Kinds of models that are not reckoned yet say so by their name."""

from __future__ import annotations

from pathlib import Path

import pytest

from triptych.errors import RecipeError
from triptych.planner.plan import plan
from triptych.recipe import load_recipe
from triptych.recipe.load import preset_path

RECIPES = Path(__file__).parents[2] / "recipes"


@pytest.mark.parametrize(
    ("recipe", "kind"), [(preset_path("blip2-mini"), "blip2"), (RECIPES / "detector.yaml", "detector")]
)
def test_it_is_said_what_is_not_reckoned(recipe: Path, kind: str) -> None:
    with pytest.raises(RecipeError, match=f"`triptych plan` does not yet reckon models of `kind: {kind}`"):
        plan(load_recipe(recipe))
