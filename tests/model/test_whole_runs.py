"""A run is loaded with all that it trained, or not at all: of every kind of model, whatever happened to its tensors."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

import tiny_blip2
import tiny_boxes
import tiny_dual
from tiny_world import World
from triptych.api import load
from triptych.errors import WeightsError
from triptych.model.build import build, trained
from triptych.recipe import Recipe
from triptych.training.loop import train

LORA = {"rank": 2, "targets": ["q_proj"]}
FEW = {"stages.0.steps": 1, "stages.1.steps": 1}
RECIPES: dict[str, Callable[[World], Recipe]] = {
    "adapter and language": lambda world: world.recipe(FEW),
    "adapter and lora": lambda world: world.recipe(
        FEW | {"model.language.lora": LORA, "stages.1.train": ["adapters", "language.lora"]}
    ),
    "dual": lambda world: tiny_dual.recipe(world, {"stages.0.steps": 1}),
    "blip2": lambda world: tiny_blip2.recipe(world, {"stages.0.steps": 1}),
    "detector": lambda world: tiny_boxes.recipe(world, steps=1),
}


@pytest.fixture(scope="module", params=list(RECIPES))
def kept(
    request: pytest.FixtureRequest, world: World, session_cache: Path, tmp_path_factory: pytest.TempPathFactory
) -> tuple[Path, Recipe, Any]:
    """A finished run, its recipe, and a model to load into."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TRIPTYCH_CACHE", str(session_cache))
        recipe = RECIPES[request.param](world)
        run = train(recipe, tmp_path_factory.mktemp("runs") / "run", quiet=True)
        return run, recipe, build(recipe)


def edited(run: Path, folder: Path, edit: Callable[[dict[str, Tensor]], Any]) -> Path:
    copy = folder / "run"
    shutil.rmtree(copy, ignore_errors=True)
    (copy / "weights").mkdir(parents=True)
    shutil.copy(run / "recipe.yaml", copy)
    state = load_file(run / "weights" / "model.safetensors")
    edit(state)
    save_file({name: tensor.contiguous() for name, tensor in state.items()}, copy / "weights" / "model.safetensors")
    return copy


def test_a_whole_run_is_put_in_place(kept: tuple[Path, Recipe, Any]) -> None:
    run, recipe, model = kept
    places = {**dict(trained(model, run, recipe).named_parameters()), **dict(model.named_buffers())}
    state = load_file(run / "weights" / "model.safetensors")
    assert all(torch.equal(places[name], tensor) for name, tensor in state.items())


def test_each_tensor_that_a_run_lost_is_named(kept: tuple[Path, Recipe, Any], tmp_path: Path) -> None:
    run, recipe, model = kept
    for name in load_file(run / "weights" / "model.safetensors"):
        with pytest.raises(WeightsError) as raised:
            trained(model, edited(run, tmp_path, lambda state, name=name: state.pop(name)), recipe)
        assert f"1 tensor is missing ({name})" in str(raised.value)


def test_a_run_that_lost_most_does_not_answer(kept: tuple[Path, Recipe, Any], tmp_path: Path) -> None:
    run, recipe, model = kept

    def keep_one(state: dict[str, Tensor]) -> None:
        for name in sorted(state)[1:]:
            del state[name]

    before = {name: parameter.clone() for name, parameter in model.named_parameters()}
    with pytest.raises(WeightsError, match="are missing"):
        trained(model, edited(run, tmp_path, keep_one), recipe)
    assert all(torch.equal(parameter, before[name]) for name, parameter in model.named_parameters())


SPOILT: dict[str, Callable[[dict[str, Tensor], str], Any]] = {
    "renamed": lambda state, name: state.update({f"{name}.old": state.pop(name)}),
    "longer": lambda state, name: state.update({name: torch.cat([state[name].reshape(-1), torch.zeros(1)])}),
    "a dimension more": lambda state, name: state.update({name: state[name][None]}),
    "integers": lambda state, name: state.update({name: state[name].to(torch.int8)}),
    "one more": lambda state, name: state.update({f"{name}.beside": torch.zeros(2)}),
}


@pytest.mark.parametrize("how", list(SPOILT))
def test_a_spoilt_tensor_is_named(kept: tuple[Path, Recipe, Any], tmp_path: Path, how: str) -> None:
    run, recipe, model = kept
    names = sorted(load_file(run / "weights" / "model.safetensors"))
    for name in names[:: max(len(names) // 5, 1)]:
        if how == "integers" and not load_file(run / "weights" / "model.safetensors")[name].is_floating_point():
            continue
        with pytest.raises(WeightsError) as raised:
            trained(model, edited(run, tmp_path, lambda state, name=name: SPOILT[how](state, name)), recipe)
        assert name in str(raised.value)
        assert "\n" not in str(raised.value)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64])
def test_another_precision_is_taken(kept: tuple[Path, Recipe, Any], tmp_path: Path, dtype: torch.dtype) -> None:
    run, recipe, model = kept

    def convert(state: dict[str, Tensor]) -> None:
        for name in [name for name in state if state[name].is_floating_point()]:
            state[name] = state[name].to(dtype)

    trained(model, edited(run, tmp_path, convert), recipe)


@pytest.mark.parametrize("share", [0.0, 0.01, 0.3, 0.9])
def test_a_truncated_file_is_named(kept: tuple[Path, Recipe, Any], tmp_path: Path, share: float) -> None:
    run, recipe, model = kept
    file = edited(run, tmp_path, lambda _: None) / "weights" / "model.safetensors"
    content = file.read_bytes()
    file.write_bytes(content[: int(share * len(content))])
    with pytest.raises(WeightsError, match=r"model\.safetensors cannot be read"):
        trained(model, file.parents[1], recipe)


def test_what_loads_a_run_loads_it_whole(trained: Path, tmp_path: Path) -> None:
    copy = edited(trained, tmp_path, lambda state: state.pop("language.model.model.norm.weight"))
    with pytest.raises(WeightsError, match=r"missing \(language\.model\.model\.norm\.weight\)"):
        load(copy)
