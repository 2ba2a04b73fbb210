"""A fusion of one's own, named by its path: it trains and answers as the built-in ones do."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, ClassVar

import pytest
import torch
from torch import Tensor, nn

from tiny_world import World
from triptych.api import load
from triptych.conversation import Image
from triptych.errors import RecipeError
from triptych.fusion.config import FusionOptions
from triptych.fusion.fusion import Splice
from triptych.planner import plan


class MeanConfig(FusionOptions):
    """A medium is one position: the mean of its features, scaled."""

    implementation: ClassVar[str] = "test_own_fusion:Mean"

    kind: str = "test_own_fusion:MeanConfig"
    gain: float = 1.0

    @property
    def parts(self) -> list[str]:
        return ["fusion"]

    def positions(self, adapted: int) -> int:
        return min(1, adapted)


class Mean(Splice):
    def __init__(self, config: MeanConfig, language: Any, embedding_std: float) -> None:
        super().__init__(config)
        self.gain = nn.Parameter(torch.tensor(config.gain, dtype=language.embedding.weight.dtype))

    def places(self, features: Sequence[Tensor]) -> list[Tensor]:
        return [self.gain * one.mean(dim=0, keepdim=True) for one in features]


CHANGES = {
    "model.fusion": {"kind": "test_own_fusion:MeanConfig", "gain": 2.0},
    "stages.0.train": ["adapters", "fusion"],
}


def test_it_trains_is_planned_and_answers(world: World, train_tiny: Callable[..., Path]) -> None:
    recipe = world.recipe(CHANGES)
    assert plan(recipe).media_tokens == {"image": 1}
    model = load(train_tiny(CHANGES))
    assert isinstance(model.model.fusion, Mean) and float(model.model.fusion.gain.detach()) != 2.0
    assert isinstance(model.ask(Image(next((world.folder / "pictures").glob("*.png"))), "What colour?"), str)


def test_its_mistakes_are_told_by_their_place(world: World) -> None:
    with pytest.raises(
        RecipeError, match=r"model\.fusion\.gaim: unknown field; 'gaim' is not known; did you mean 'gain'"
    ):
        world.recipe({"model.fusion": {"kind": "test_own_fusion:MeanConfig", "gaim": 1}})
    with pytest.raises(RecipeError, match=r"'splise' is not known; did you mean 'splice'"):
        world.recipe({"model.fusion": "splise"})
