"""`plan`: from a recipe and a device to what it costs."""

from __future__ import annotations

from triptych.errors import RecipeError
from triptych.family import family_of
from triptych.planner.cost import CostPlan
from triptych.planner.devices import DeviceSpec
from triptych.planner.devices import device as find_device
from triptych.recipe import Recipe


def plan(recipe: Recipe, device: DeviceSpec | str = "cpu", count: int = 1) -> CostPlan:
    """What a recipe costs on `count` devices. No weights are read; datasets are read only where they are at hand.

    Raises:
        RecipeError: The device or an architecture is not known, or the size of a dataset.
    """
    if count < 1:
        raise RecipeError(f"--count {count}: at least one device is needed")
    spec = find_device(device) if isinstance(device, str) else device
    planned: CostPlan = family_of(recipe.model).plan(recipe, spec, count)
    return planned
