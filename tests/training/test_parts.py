"""Frozen means frozen, and is shown."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from tiny_world import World
from triptych.api import load
from triptych.model.build import build
from triptych.model.composed import MultimodalModel
from triptych.model.saved import kept_weights, load_weights
from triptych.training.checkpoint import latest
from triptych.training.parts import describe_parts, freeze, set_mode

LORA = {"rank": 2, "alpha": 4, "dropout": 0.5}


def state(model: MultimodalModel) -> dict[str, torch.Tensor]:
    return {name: tensor.detach().clone() for name, tensor in model.state_dict().items()}


def changed(before: dict[str, torch.Tensor], after: dict[str, torch.Tensor]) -> set[str]:
    return {name for name in before if not torch.equal(before[name], after[name])}


@pytest.mark.parametrize(
    ("train", "lora", "learns"),
    [
        (["adapters"], False, ("adapters.",)),
        (["language"], False, ("language.",)),
        (["adapters", "encoders.image"], False, ("adapters.", "encoders.")),
        (["language.lora"], True, ("lora_",)),
        (["adapters.image", "language.lora"], True, ("adapters.", "lora_")),
    ],
)
def test_what_is_not_trained_keeps_its_bytes(
    world: World, train_tiny: Callable[..., Path], train: list[str], lora: bool, learns: tuple[str, ...]
) -> None:
    changes: dict[str, Any] = {"stages.0.steps": 2, "stages.0.train": train, "stages.0.checkpoint_every": 1}
    if lora:
        changes["model.language.lora"] = LORA
    recipe = world.recipe({**changes, "stages": [{**world.values(changes)["stages"][0]}]})
    before = state(build(recipe))
    run = train_tiny(recipe)
    model = load(run).model
    different = changed(before, state(model))
    assert different
    for name in different:
        assert any(word in name for word in learns), name
    for word in learns:
        assert any(word in name for name in different), word
    saved = latest(run / "checkpoints")
    assert saved is not None


def test_the_optimiser_has_state_for_what_is_trained_only(world: World, tiny_cache: Path) -> None:
    from triptych.training.optimiser import Optimiser

    recipe = world.recipe({"model.language.lora": LORA, "stages.1.train": ["language.lora"]})
    model = build(recipe)
    trained = freeze(model, recipe.stages[1])
    optimiser = Optimiser(recipe.stages[1], 4, trained)
    assert all("lora_" in name for name in optimiser.parameters)
    sum(p.float().square().sum() for p in model.parameters() if p.requires_grad).backward()  # type: ignore[union-attr]
    optimiser.collect()
    optimiser.step(0)
    assert all("lora_" in name for name in optimiser.state())
    assert [name for name, p in model.named_parameters() if p.requires_grad] == list(optimiser.parameters)


def test_the_table_of_parts(world: World, tiny_cache: Path) -> None:
    recipe = world.recipe({"model.language.lora": LORA, "model.language.precision": "bfloat16"})
    model = build(recipe)
    freeze(model, recipe.stages[0].model_copy(update={"train": ["adapters", "language.lora"]}))
    parts = {part.part: part for part in describe_parts(model)}
    assert list(parts) == ["encoders.image", "adapters.image", "language", "language.lora"]
    assert {name for name, part in parts.items() if part.trained} == {"adapters.image", "language.lora"}
    assert sum(part.parameters for part in parts.values()) == sum(p.numel() for p in model.parameters())
    assert parts["language"].precision == "bfloat16"
    assert "bfloat16 (float32 master)" in parts["language.lora"].precision
    assert parts["adapters.image"].precision == "float32"


def test_the_run_says_what_was_trained(trained: Path) -> None:
    stages = json.loads((trained / "run.json").read_text())["stages"]
    shown = [{part["part"]: part["trained"] / part["parameters"] for part in stage["parts"]} for stage in stages]
    assert shown == [
        {"encoders.image": 0, "adapters.image": 1, "language": 0},
        {"encoders.image": 0, "adapters.image": 1, "language": 1},
    ]


def test_a_part_that_learns_in_part_says_how_many(world: World, tiny_cache: Path) -> None:
    recipe = world.recipe({"stages.1.train": ["language.embeddings"]})
    model = build(recipe)
    freeze(model, recipe.stages[1])
    state = {part.part: part for part in describe_parts(model)}["language"]
    assert state.trained == sum(parameter.numel() for _, parameter in model.part("language.embeddings"))
    assert 0 < state.trained < state.parameters


def test_dropout_only_where_something_learns_and_only_while_training(world: World, tiny_cache: Path) -> None:
    recipe = world.recipe({"model.language.lora": LORA})
    model = build(recipe)
    stage = recipe.stages[1].model_copy(update={"train": ["adapters", "language.lora"]})
    trained = freeze(model, stage)
    set_mode(model, trained, "train")
    dropouts = [module for name, module in model.named_modules() if isinstance(module, nn.Dropout) and "lora" in name]
    assert len(dropouts) == 14
    assert all(module.training for module in dropouts)
    assert model.adapters["image"].training
    assert not any(module.training for module in model.encoders.modules() if list(module.parameters(recurse=False)))
    set_mode(model, trained, "eval")
    assert not any(module.training for module in model.modules())
    set_mode(model, freeze(model, recipe.stages[0]), "train")
    assert not any(module.training for module in dropouts)


def test_running_statistics_are_saved_with_what_is_trained(model: MultimodalModel, tmp_path: Path) -> None:
    """An encoder with batch statistics that is trained comes back with them."""
    model.encoders["image"].extra = nn.BatchNorm1d(3)
    names = {"encoders.image.extra.weight", "encoders.image.extra.bias"}
    model.encoders["image"].extra.running_mean.fill_(7.0)
    saved = kept_weights(model, names)
    assert "encoders.image.extra.running_mean" in saved
    assert "adapters.image.scale" in saved
    model.encoders["image"].extra.running_mean.zero_()
    load_weights(model, names, saved, "here")
    assert model.encoders["image"].extra.running_mean.tolist() == [7.0] * 3
    assert not any(name.startswith("language.") for name in saved)


def test_a_loaded_model_is_the_trained_one(trained: Path) -> None:
    first, second = load(trained), load(trained)
    assert first.fingerprint == second.fingerprint
    assert all(torch.equal(a, b) for a, b in zip(first.model.parameters(), second.model.parameters(), strict=True))
    assert not first.model.training
