"""`triptych plan`."""

from __future__ import annotations

from typing import Annotated

import typer

from triptych.cli.options import Overrides, RecipeArgument
from triptych.console import make_console

ORDER = 90


def plan(
    recipe: RecipeArgument,
    overrides: Overrides = None,
    device: Annotated[
        str, typer.Option("--device", help="What it is to run on, such as h100, a100, rtx4090, cpu.")
    ] = "cpu",
    count: Annotated[int, typer.Option("--count", min=1, help="How many of them.")] = 1,
) -> None:
    """Tell what a recipe costs before it runs: parameters, memory, FLOPs and hours per stage."""
    from triptych.planner import plan as make_plan
    from triptych.planner import render
    from triptych.recipe import load_recipe

    make_console().print(render(make_plan(load_recipe(recipe, overrides or ()), device, count)))
