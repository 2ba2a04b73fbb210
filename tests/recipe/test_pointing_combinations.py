"""Recipes whose regions and stages do not go together are refused when they are read."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import TypeAdapter, ValidationError

from tiny_world import World
from triptych.errors import RecipeError
from triptych.grounding.config import RegionsConfig
from triptych.recipe import Recipe

STAGE = {"name": "ground", "mixture": {"colours": 1}, "steps": 1, "learning_rate": 1e-3}


def made(world: World, regions: dict[str, Any] | None, stage: dict[str, Any]) -> Recipe:
    changes: dict[str, Any] = {"stages": [{**STAGE, **stage}]}
    return world.recipe(changes | ({"model.regions": regions} if regions else {}))


def test_the_objective_needs_decoders(world: World) -> None:
    with pytest.raises(RecipeError, match="kind: embedding"):
        made(world, {"kind": "text"}, {"train": ["adapters"], "objective": {"kind": "regions"}})
    with pytest.raises(RecipeError, match="kind: embedding"):
        made(world, None, {"train": ["regions"]})


def test_decoders_learn_nothing_from_words_alone(world: World) -> None:
    with pytest.raises(RecipeError, match=r"objective: .kind: regions"):
        made(world, {"kind": "embedding", "questions": False}, {"train": ["regions"]})
    assert made(world, {"kind": "embedding"}, {"train": ["regions"]}).stages  # embeddings of asked regions do
    assert made(world, {"kind": "embedding"}, {"train": ["regions"], "objective": {"kind": "regions"}}).stages


@pytest.mark.parametrize("kind", ["text", "embedding", "call"])
@pytest.mark.parametrize("prompt", ["Point at {phrase}.", "Point at it.", "{expression} or {expression}", "{", ""])
def test_a_prompt_asks_for_the_expression_once(kind: str, prompt: str) -> None:
    settings: dict[str, Any] = {"kind": kind, "prompt": prompt}
    with pytest.raises(ValidationError, match=r"needs `\{expression\}` once"):
        TypeAdapter(RegionsConfig).validate_python(settings)
    assert TypeAdapter(RegionsConfig).validate_python({**settings, "prompt": "Where is {expression}?"})
