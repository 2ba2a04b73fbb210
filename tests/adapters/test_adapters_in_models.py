"""The adapters inside a whole model: trained by a recipe, read back, planned, refused."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from tiny_world import World, talk
from triptych.api import load
from triptych.errors import RecipeError
from triptych.families.composed.shape import build_composed_shape as build_planned
from triptych.model.build import build
from triptych.recipe import Recipe

SMALL: dict[str, dict[str, Any]] = {
    "qformer": {
        "queries": 3, "layers": 2, "width": 16, "heads": 2, "intermediate": 24, "instruction": True, "text_tokens": 6,
        "positions": True,
    },
    "perceiver": {"latents": 3, "depth": 1, "heads": 2, "head_dim": 8, "pool": 2, "reduction": "average"},
    "connector": {"latents": 3, "heads": 4},
}  # fmt: skip


def changes(kind: str, **more: Any) -> dict[str, Any]:
    return {"model.adapters.image": {"kind": kind, **SMALL[kind], **more}}


@pytest.mark.parametrize("kind", list(SMALL))
def test_a_recipe_trains_it_and_a_run_gives_it_back(
    kind: str, world: World, train_tiny: Callable[..., Path], tiny_cache: Path
) -> None:
    short = {"stages.0.steps": 2, "stages.1.steps": 1}
    run = train_tiny({**changes(kind), **short})
    start = build(world.recipe(changes(kind)))
    model = load(run).model
    for name, parameter in start.adapters["image"].named_parameters():
        learned = dict(model.adapters["image"].named_parameters())[name]
        idle = name.endswith("key.bias") or "layers.1.text_feed_forward" in name  # see the page on adapters
        assert idle or not torch.equal(parameter, learned), name
    assert [span.length for span in model.plan(talk(world.picture(0), "It is red.")).spans] == [3]


def test_the_planner_and_the_model_agree_on_every_parameter(world: World, tiny_cache: Path) -> None:
    for kind in SMALL:
        recipe = world.recipe(changes(kind))
        real = {n: p.shape for n, p in build(recipe).adapters.named_parameters()}
        planned = {n: p.shape for n, p in build_planned(recipe, False).adapters.named_parameters()}
        assert planned == real


def test_an_encoder_that_keeps_its_class_token_is_refused_before_training(world: World, tiny_cache: Path) -> None:
    wrong = {**changes("perceiver"), "model.encoders.image.drop_cls": False}
    unread = Recipe.model_validate(world.values(wrong))  # past `parse_recipe`, as where the tower is not known by then
    for make in (build, lambda recipe: build_planned(recipe, False), lambda recipe: world.recipe(wrong)):
        with pytest.raises(RecipeError, match=r"'perceiver'.*drop_cls: true"):
            make(unread)
    without = {"pool": 1, "reduction": "none"}
    assert build(world.recipe({**changes("perceiver", **without), "model.encoders.image.drop_cls": False}))
