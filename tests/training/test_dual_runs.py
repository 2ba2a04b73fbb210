"""Dual encoders: parts, runs that come back, and towers that serve as encoders and as teachers."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import forked
import pytest
import torch
from safetensors.torch import load_file

import tiny_dual
from tiny_world import World
from triptych.api import load
from triptych.cli.commands.evaluate.recipe_tasks import evaluate_run
from triptych.data.pairs import PairReader, drawn
from triptych.encoders.build import build as build_encoder
from triptych.encoders.config import VisionTransformerConfig
from triptych.errors import RecipeError
from triptych.model.build import build
from triptych.recipe import dump_recipe, load_recipe, parse_recipe
from triptych.training.data import make_reader
from triptych.training.parts import describe_parts, freeze

MASKED = {
    "model.masked_features": 16,
    "stages.0.train": ["vision", "masked_head"],
    "stages.0.objective": {"kind": "masked_image", "teacher": {"kind": "vit", "architecture": tiny_dual.VISION,
                           "layer": "output", "precision": "float32"}},
}  # fmt: skip


@pytest.fixture(scope="module")
def run(world: World, session_cache: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished run."""
    from triptych.training.loop import train

    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TRIPTYCH_CACHE", str(session_cache))
        return train(tiny_dual.recipe(world), tmp_path_factory.mktemp("runs") / "dual", quiet=True)


def test_parts_are_the_whole_model(world: World, tiny_cache: Path) -> None:
    recipe = tiny_dual.recipe(world, {"model.masked_features": 16})
    model = build(recipe)
    assert sum(part.parameters for part in describe_parts(model)) == sum(p.numel() for p in model.parameters())
    assert set(recipe.model.parts) == {"vision", "text", "projections", "logit_scale", "masked_head"}
    names = {name for name, _ in model.part("projections")}
    assert names == {"vision.projection.weight", "text.projection.weight"}
    trained = freeze(model, recipe.stages[0].model_copy(update={"train": ["projections", "vision"]}))
    assert not set(trained["projections"]) & set(trained["vision"])  # what two parts name belongs to the first


def test_a_trained_run_comes_back(run: Path, world: World, tiny_cache: Path) -> None:
    dual = load(run)
    saved = load_file(run / "weights" / "model.safetensors")
    for name, parameter in dual.model.named_parameters():
        assert torch.equal(parameter, saved[name]), name
    pictures = [world.picture(i) for i in range(3)]
    assert dual.similarity(pictures, ["It is red.", "It is blue."]).shape == (3, 2)
    with pytest.raises(RecipeError, match="`kind: dual` compares pictures with texts"):
        dual.require("answers", str(run))


def test_a_trained_tower_is_an_encoder(run: Path, world: World, tiny_cache: Path) -> None:
    model = load(run).model
    encoder = build_encoder(
        VisionTransformerConfig(weights=f"run:{run}", layer="output", drop_cls=False, precision="float32")
    )
    pixels = torch.stack([encoder.prepare(world.picture(i)) for i in range(2)])
    with torch.no_grad():
        torch.testing.assert_close(encoder(pixels), model.vision(pixels))
    values = world.values({"model.encoders.image": {"kind": "vit", "weights": f"run:{run}", "layer": -2}})
    composed = build(parse_recipe(values))
    assert composed.encoder("image").dim == 16


def test_towers_start_from_a_run(run: Path, world: World, tiny_cache: Path) -> None:
    changes = {"model.vision": {"kind": "vit", "weights": f"run:{run}"},
               "model.text": {"kind": "transformer", "weights": f"run:{run}"}, "model.embed_dim": None}  # fmt: skip
    again = build(tiny_dual.recipe(world, changes))
    before = load(run).model
    for name, parameter in before.named_parameters():
        assert torch.equal(parameter, dict(again.named_parameters())[name]), name
    assert again.saved == ("logit_scale", "logit_bias", "masked_head.")


def test_the_run_is_measured_by_its_tasks(run: Path, tiny_cache: Path, tmp_path: Path) -> None:
    evaluate_run(run, output=tmp_path / "elsewhere")
    assert (tmp_path / "elsewhere" / "results.json").exists() and not (run / "results.json").exists()
    results = evaluate_run(run)
    scores = results.tasks["retrieval"]
    assert set(scores.metrics) == {f"{way}_r{k}" for way in ("image_to_text", "text_to_image") for k in (1, 5)}
    assert (run / "report.html").exists()


@pytest.mark.parametrize("changes", [{"model.vision.patch_dropout": 0.5, "loading.workers": 1}, MASKED])
def test_stopped_and_resumed_it_ends_in_the_same_bits(
    changes: dict[str, Any], world: World, tiny_cache: Path, tmp_path: Path
) -> None:
    recipe = tiny_dual.recipe(world, changes | {"stages.0.steps": 6})
    forked.run(recipe, tmp_path / "whole")
    hits = forked.killed_and_resumed(recipe, tmp_path / "killed", 2, 6, seed=1)
    assert hits
    files = [tmp_path / name / "weights" / "model.safetensors" for name in ("whole", "killed")]
    assert files[0].read_bytes() == files[1].read_bytes()
    losses = [
        [json.loads(line)["loss"] for line in (tmp_path / name / "metrics.jsonl").read_text().splitlines()]
        for name in ("whole", "killed")
    ]
    assert losses[0] == losses[1]


def test_masked_patches_are_learned_from_a_teacher(world: World, train_tiny: Callable[..., Path]) -> None:
    run = train_tiny(tiny_dual.recipe(world, MASKED | {"stages.0.steps": 30, "stages.0.batch_size": 12}))
    losses = [json.loads(line)["loss"] for line in (run / "metrics.jsonl").read_text().splitlines()]
    assert losses[0] == pytest.approx(1, abs=0.5)  # cosines of what has nothing to do with each other
    assert losses[-1] < 0.6 * losses[0]


def test_of_several_captions_each_draw_takes_one(world: World, tiny_cache: Path) -> None:
    recipe = tiny_dual.recipe(world)
    model = build(recipe)
    from triptych.data.mixture import Mixture
    from triptych.data.sources import build as build_source

    sources = {"colours": build_source(recipe.data["colours"], world.folder)}
    reader = make_reader(model, recipe, sources, Mixture({"colours": 12}, {"colours": 1}, 0), 12, recipe.stages[0])
    assert isinstance(reader, PairReader)
    epochs = [reader(step).batch for step in (0, 1, 0)]
    texts = [{d.id: text for d, text in zip(batch.conversations, batch.texts, strict=True)} for batch in epochs]
    assert texts[0] == texts[2] != texts[1]
    assert len(texts[0]) == 12
    assert {drawn(["a", "b"], "x", n) for n in range(20)} == {"a", "b"}
    batch = epochs[0]
    for row in range(12):
        own = batch.ids[row, : batch.lengths[row]].tolist()
        assert own == model.words.ids(batch.texts[row])
        assert own[-1] == model.words.end
    part = batch.rows([3, 5])
    assert part.texts == (batch.texts[3], batch.texts[5]) and torch.equal(part.pixels, batch.pixels[[3, 5]])


def test_records_without_a_pair_are_refused(world: World, tiny_cache: Path, train_tiny: Callable[..., Path]) -> None:
    recipe = tiny_dual.recipe(
        world, {"data.text": {"kind": "llava", "path": "text.json"}, "stages.0.mixture": {"colours": 9, "text": 1},
                "loading.refused_share": 1.0}
    )  # fmt: skip
    run = train_tiny(recipe, "refused")
    assert "a pair has one picture, this conversation has 0" in (run / "ledger.jsonl").read_text()


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"stages.0.objective": {"kind": "next_token"}}, "has no language model to learn by `next_token`"),
        ({"stages.0.objective": {"kind": "sigmoid"}}, "needs a bias"),
        ({"stages.0.train": ["visoin"]}, "did you mean 'vision'"),
        ({"stages.0.train": ["masked_head"]}, "set `model.masked_features` to have it"),
        ({"model.kind": "duel"}, "did you mean 'dual'"),
        ({"model.vision.architecture.widht": 3}, "model.vision.architecture.widht: unknown field"),
        ({"model.embed_dim": None}, "say how many channels"),
        ({"stages.0.layer_decay": {"vision": 1.5}}, "must be above 0 and at most 1"),
    ],
)
def test_mistakes_are_answered(changes: dict[str, Any], message: str, world: World) -> None:
    with pytest.raises(RecipeError, match=message.replace("`", ".")):
        tiny_dual.recipe(world, changes)


def test_recipes_survive_being_written(world: World, tmp_path: Path) -> None:
    for recipe in (tiny_dual.recipe(world), world.recipe()):
        (tmp_path / "r.yaml").write_text(dump_recipe(recipe))
        assert load_recipe(tmp_path / "r.yaml") == recipe
    assert "kind: composed" not in (tmp_path / "r.yaml").read_text()
    with pytest.raises(RecipeError, match=r"is for a model of .kind: dual"):
        world.recipe({"stages.0.objective": {"kind": "contrastive"}})
