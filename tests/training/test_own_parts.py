"""An optimiser and a tracker of one's own."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
import torch

from tiny_world import World
from triptych.errors import RecipeError, TrainingError
from triptych.training.loop import Interrupted, Trainer
from triptych.weights.tensor_files import read_tensors

Train = Callable[..., Path]


class Momentum(torch.optim.Optimizer):
    """Momentum of the gradient's sign, with a state of its own."""

    def __init__(self, groups: Any, beta: float = 0.9) -> None:
        super().__init__(groups, {"beta": beta, "lr": 1.0})

    @torch.no_grad()
    def step(self, closure: Any = None) -> None:
        for group in self.param_groups:
            for parameter in group["params"]:
                state = self.state[parameter]
                momentum = state.setdefault("momentum", torch.zeros_like(parameter))
                momentum.mul_(group["beta"]).add_(parameter.grad.sign(), alpha=1 - group["beta"])
                parameter.sub_(group["lr"] * momentum)


class Lines:
    """Appends figures to a text file in the run's folder."""

    def __init__(self, folder: Path, name: str, start: int, file: str = "lines.txt") -> None:
        self.file, self.name = folder / file, name

    def write(self, step: int, values: Mapping[str, float]) -> None:
        with self.file.open("a") as out:
            out.write(f"{self.name} {step} {values['align/loss' if 'align/loss' in values else 'instruct/loss']:.4f}\n")

    def close(self) -> None:
        with self.file.open("a") as out:
            out.write("closed\n")


MINE = {"stages.0.optimiser": {"kind": "test_own_parts:Momentum", "beta": 0.5}}


def test_ones_own_optimiser_trains_and_resumes(
    world: World, train_tiny: Train, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = train_tiny(MINE, "whole")
    saved = Trainer._save

    def stop_after_the_first(self: Trainer, *given: Any) -> None:
        saved(self, *given)
        raise Interrupted("as if killed")

    with monkeypatch.context() as patch, pytest.raises(Interrupted):
        patch.setattr(Trainer, "_save", stop_after_the_first)
        train_tiny(MINE, "killed")
    again = train_tiny(MINE, "killed", resume=True)
    one, two, usual = (
        read_tensors(folder / "weights" / "model.safetensors", "") for folder in (whole, again, train_tiny({}, "usual"))
    )
    assert all(torch.equal(one[name], two[name]) for name in one)
    assert any(not torch.equal(one[name], usual[name]) for name in one)


def test_what_does_not_fit_is_said(train_tiny: Train) -> None:
    with pytest.raises(RecipeError, match="unexpected keyword argument 'gamma'"):
        train_tiny({"stages.0.optimiser": {"kind": "test_own_parts:Momentum", "gamma": 0.5}}, "a")
    with pytest.raises(RecipeError, match=r"must be a subclass of torch\.optim"):
        train_tiny({"stages.0.optimiser": {"kind": "test_own_parts:Lines"}}, "b")
    with pytest.raises(RecipeError, match=r"'adamv' is not known; did you mean 'adamw'"):
        train_tiny({"stages.0.optimiser": "adamv"}, "c")


def test_a_kind_alone_is_an_optimiser(world: World) -> None:
    assert world.recipe({"stages.0.optimiser": "lamb"}).stages[0].optimiser.kind == "lamb"


def test_ones_own_tracker_sees_every_step(train_tiny: Train) -> None:
    run = train_tiny({"trackers": [{"kind": "test_own_parts:Lines", "file": "mine.txt"}]}, "tracked")
    lines = (run / "mine.txt").read_text().splitlines()
    assert [line.split()[1] for line in lines[:-1]] == [str(i) for i in range(1, 9)] and lines[-1] == "closed"
    assert not (run / "tensorboard").exists()


def test_a_tracker_that_is_not_installed_is_said(train_tiny: Train, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "wandb", None)
    with pytest.raises(TrainingError, match=r"trackers: wandb: .*pip install wandb"):
        train_tiny({"trackers": ["wandb"]}, "absent")
    assert train_tiny({"trackers": [{"kind": "wandb", "optional": True}]}, "without").exists()
