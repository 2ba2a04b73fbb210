"""Recipes: the schema, reading and writing them."""

from triptych.recipe.included import preset_names
from triptych.recipe.load import dump_recipe, load_recipe, parse_recipe
from triptych.recipe.schema import Recipe

__all__ = ["Recipe", "dump_recipe", "load_recipe", "parse_recipe", "preset_names"]
