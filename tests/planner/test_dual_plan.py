"""What a plan says of dual encoders, against models that were really built and arithmetic done by hand."""

from __future__ import annotations

from typing import Any

import pytest
import torch

import tiny_dual
from tiny_world import World
from triptych.console import make_console
from triptych.families.dual.build import build_dual
from triptych.families.dual.plan import _learned_images
from triptych.families.dual.shape import build_dual_shape
from triptych.planner import plan, render
from triptych.planner.activations import kept_bytes
from triptych.planner.measure import learned_flops
from triptych.recipe import parse_recipe


def planned(world: World, **changes: Any) -> Any:
    return plan(tiny_dual.recipe(world, changes), "h100")


def test_parts_are_those_of_the_model(world: World) -> None:
    model = build_dual(tiny_dual.recipe(world))
    for part in planned(world).parts:
        assert part.parameters == sum(p.numel() for _, p in model.part(part.name))


def test_flops_are_those_of_the_matrix_products() -> None:
    """A tower of one layer, by hand: patches, queries, keys and values, scores, output, feed-forward."""
    from triptych.encoders.architecture import VisionArchitecture
    from triptych.encoders.vit import VisionTower

    width, side, patch = 16, 4, 8
    shape = VisionArchitecture(image_size=32, patch_size=patch, width=width, layers=2, heads=2)
    with torch.device("meta"):
        tower = VisionTower(shape, 8)
    pixels = torch.empty(1, 3, 32, 32, dtype=torch.uint8, device="meta")
    places = side**2 + 1
    patches = 2 * side**2 * 3 * patch**2 * width
    layer = 2 * places * (3 * width**2 + width**2 + 8 * width**2) + 2 * 2 * places**2 * width
    last = 2 * (width**2 + 2 * places * width**2) + 2 * 2 * places * width + 2 * 9 * width**2  # for one position alone
    forward = patches + layer + last + 2 * width * 8
    tower.requires_grad_(False)
    assert learned_flops(lambda: tower.encode(pixels), False) == forward
    tower.requires_grad_(True)
    # Pixels need no gradient, so that the patches' products come twice, everything else three times.
    assert learned_flops(lambda: tower.encode(pixels), False) == 3 * forward - patches
    assert learned_flops(lambda: tower.encode(pixels), True) == 4 * forward - patches


def test_chunks_save_memory_and_cost_a_forward_pass(world: World) -> None:
    whole, chunks = (
        planned(world, **{"stages.0.batch_size": 4096, "stages.0.objective.chunk": chunk}).stages[0]
        for chunk in (None, 64)
    )
    size = [{item.name: item.whole for item in stage.memory} for stage in (whole, chunks)]
    assert size[1]["activations"] < size[0]["activations"] / 32
    assert size[0]["cosines"] > 10 * size[1]["cosines"]
    assert 1.2 < chunks.total_flops / whole.total_flops < 1.4


def test_activations_are_what_training_keeps(world: World) -> None:
    recipe = tiny_dual.recipe(world)
    shape, real = build_dual_shape(recipe, tokenizer=build_dual(recipe).words.tokenizer), build_dual(recipe)
    pixels = torch.zeros(8, 3, 16, 16, dtype=torch.uint8)
    measured = kept_bytes(lambda: real.vision.encode(pixels), real.parameters())
    said = kept_bytes(lambda: _learned_images(shape, 8, False), shape.parameters())
    assert said == pytest.approx(measured, rel=0.15)


def test_what_is_frozen_is_computed_once(world: World) -> None:
    values = tiny_dual.frozen_values(world, layer=1)
    values["stages"][0]["steps"] = 100
    found = plan(parse_recipe(values), "h100")
    stage = found.stages[0]
    assert stage.encoded == 12 and stage.cache_bytes == 12 * 5 * 16 * 2
    assert stage.trained == ["vision.head", "text.head", "logit_scale"]
    longer = {**values, "stages": [{**values["stages"][0], "steps": 200}]}
    again = plan(parse_recipe(longer), "h100").stages[0]
    assert again.flops["frozen encoder"] == stage.flops["frozen encoder"]
    assert again.flops["frozen language model"] == stage.flops["frozen language model"]
    assert again.flops["image side"] == 2 * stage.flops["image side"]


def test_a_plan_can_be_read(world: World) -> None:
    with (shown := make_console()).capture() as text:
        shown.print(render(planned(world)))
    assert "tokens in a text" in text.get() and "a picture each" in text.get() and "a picture takes" in text.get()
