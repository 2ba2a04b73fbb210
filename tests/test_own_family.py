"""A family that is not built in trains, resumes, plans, inspects, loads, is evaluated and reports; nothing in Triptych knows it."""

from __future__ import annotations

import json
import math
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from typer.testing import CliRunner

from tiny_world import World
from triptych import cli, load, trust
from triptych.errors import RecipeError
from triptych.planner import plan
from triptych.recipe import Recipe, dump_recipe, load_recipe, parse_recipe
from triptych.report import write_report
from triptych.training.loop import Interrupted, Trainer, train
from triptych.weights.tensor_files import read_tensors

KIND = "vq_family.config:VQConfig"


def recipe(world: World, **changes: Any) -> Recipe:
    values: dict[str, Any] = {
        "name": "vq",
        "base": str(world.folder),
        "model": {"kind": KIND, "side": 16, "codes": 8, "width": 8},
        "data": world.values()["data"],
        "loading": {"workers": 0},
        "stages": [
            {"name": "codes", "train": ["encoder", "codebook", "decoder"], "mixture": {"colours": 1}, "steps": 8,
             "objective": {"kind": "vq_family.config:VQLossConfig"}, "batch_size": 4, "micro_rows": 2,
             "learning_rate": 1e-2, "checkpoint_every": 3},
        ],
    }  # fmt: skip
    return parse_recipe({**values, **changes})


@pytest.fixture
def run(world: World, tmp_path: Path, tiny_cache: Path) -> Path:
    return train(recipe(world), tmp_path / "run", quiet=True)


def test_it_trains_and_is_loaded(world: World, run: Path) -> None:
    losses = [json.loads(line)["loss"] for line in (run / "metrics.jsonl").read_text().splitlines()]
    assert len(losses) == 8 and losses[-1] < losses[0] / 2
    model = load(run)
    picture = next(iter(world_pictures(world)))
    assert model.reconstruct([picture]).shape == (1, 3, 16, 16)
    assert model.mean_squared_error(picture) < 0.2


def world_pictures(world: World) -> list[Any]:
    from triptych.conversation import Image

    return [Image(path) for path in sorted((world.folder / "pictures").glob("*.png"))]


def test_resumed_equals_uninterrupted(world: World, run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    saved = Trainer._save

    def stop_after_the_first(self: Trainer, *given: Any) -> None:
        saved(self, *given)
        raise Interrupted("as if killed")

    with monkeypatch.context() as patch, pytest.raises(Interrupted):
        patch.setattr(Trainer, "_save", stop_after_the_first)
        train(recipe(world), tmp_path / "killed", quiet=True)
    again = train(recipe(world), tmp_path / "killed", resume=True, quiet=True)
    one, two = (read_tensors(folder / "weights" / "model.safetensors", "") for folder in (run, again))
    assert one.keys() == two.keys() and all(torch.equal(one[name], two[name]) for name in one)


def test_it_is_planned_by_its_real_loss(world: World) -> None:
    planned = plan(recipe(world))
    assert [part.name for part in planned.parts] == ["encoder", "codebook", "decoder"]
    (stage,) = planned.stages
    # The first convolution alone, forward: 2 · 8 · 8 cells · 8 channels · 3 · 4 · 4 inputs, for 32 pictures.
    assert stage.total_flops > 32 * 2 * 64 * 8 * 48 and stage.whole_bytes > 0 and stage.supervised == 32


def test_it_is_inspected_and_planned_in_the_terminal(world: World, tmp_path: Path) -> None:
    path = tmp_path / "vq.yaml"
    path.write_text(dump_recipe(recipe(world)))
    shown = CliRunner().invoke(cli.app, ["inspect", str(path), "--sample", "1"])
    assert shown.exit_code == 0 and "pixels" in shown.output
    planned = CliRunner().invoke(cli.app, ["plan", str(path)])
    assert planned.exit_code == 0 and "codebook" in planned.output


def test_its_section_is_in_the_report(run: Path) -> None:
    page = write_report(run).read_text()
    assert "<h2>Reconstruction</h2>" in page and "<polyline" in page


def test_its_own_task_is_evaluated_by_its_own_metric(world: World, tmp_path: Path, tiny_cache: Path) -> None:
    task = {"kind": "vq_family.task:ReconstructionConfig", "data": "colours"}
    run = train(recipe(world, evaluation={"pictures": task}), tmp_path / "run", quiet=True)
    assert CliRunner().invoke(cli.app, ["evaluate", str(run)]).exit_code == 0
    result = json.loads((run / "results.json").read_text())["tasks"]["pictures"]
    model = load(run)
    errors = [model.mean_squared_error(picture) for picture in world_pictures(world)]
    assert result["metrics"]["psnr"]["value"] == pytest.approx(-10 * math.log10(sum(errors) / len(errors)))
    assert result["questions"] == len(errors) and "psnr" in (run / "report.html").read_text()


def test_what_it_cannot_do_is_said(run: Path) -> None:
    with pytest.raises(RecipeError, match=r"no model of `kind: vq_family.config:VQConfig` answers questions"):
        load(run).require("answers", "run")
    asked = CliRunner().invoke(cli.app, ["ask", str(run), "What is this?"])
    assert asked.exit_code == 1 and "answers questions" in str(asked.exception)


def test_mistakes_are_told_as_those_of_built_in_families(world: World) -> None:
    with pytest.raises(RecipeError, match=r"model\.codez: unknown field; 'codez' is not known; did you mean 'codes'"):
        recipe(world, model={"kind": KIND, "codez": 8})
    with pytest.raises(RecipeError, match=r"model\.side: .*multiple of 4"):
        recipe(world, model={"kind": KIND, "side": 15})
    with pytest.raises(RecipeError, match=r"train\.0`: 'language' is not known.*has no language model"):
        stage = {"name": "x", "train": ["language"], "mixture": {"colours": 1}, "steps": 1}
        recipe(world, stages=[stage])
    with pytest.raises(RecipeError, match=r"stages\.0\.objective: an autoencoder learns by"):
        stage = {"name": "x", "train": ["encoder"], "mixture": {"colours": 1}, "steps": 1}
        recipe(world, stages=[stage])
    with pytest.raises(RecipeError, match=r"has no VQConfik; did you mean VQConfig\?"):
        recipe(world, model={"kind": "vq_family.config:VQConfik"})
    with pytest.raises(RecipeError, match="there is no module 'vq_famili'"):
        recipe(world, model={"kind": "vq_famili.config:VQConfig"})
    with pytest.raises(RecipeError, match="must be a subclass of"):
        recipe(world, model={"kind": "vq_family.model:VQAutoencoder"})


def test_code_of_a_run_from_elsewhere_is_not_run(run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The run as somebody gets it who never trained with this code: not even its module is imported."""
    monkeypatch.setenv("TRIPTYCH_CACHE", str(tmp_path / "another-cache"))
    monkeypatch.delenv("TRIPTYCH_TRUST_CODE")
    for name in [name for name in sys.modules if name.startswith("vq_family")]:
        monkeypatch.delitem(sys.modules, name)
    with pytest.raises(RecipeError, match=r"names code that was never trained with here: vq_family\.config:VQConfig, "):
        load(run)
    with pytest.raises(RecipeError, match="names code"):
        load_recipe(run / "recipe.yaml")
    (run / "run.json").unlink()  # as whoever made the folder may have done
    with pytest.raises(RecipeError, match="names code"):
        load(run)
    mine = tmp_path / "mine.yaml"
    mine.write_text(f"extends: {run / 'recipe.yaml'}\n")
    with pytest.raises(RecipeError, match="names code"):
        load_recipe(mine)
    assert not any(name.startswith("vq_family") for name in sys.modules)
    trust([KIND, "vq_family.config:VQLossConfig"])
    assert load(run).kind == KIND


def test_code_that_was_trained_with_is_trusted(run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("TRIPTYCH_TRUST_CODE")
    assert load(run).kind == KIND


def test_code_is_trusted_by_the_environment(run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TRIPTYCH_CACHE", str(tmp_path / "another-cache"))
    monkeypatch.setenv("TRIPTYCH_TRUST_CODE", "1")
    assert load(run).kind == KIND
