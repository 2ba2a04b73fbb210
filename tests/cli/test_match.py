"""A trained dual encoder in the terminal: match, inspect, and what is said where somebody wants to talk with it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image as Pillow
from test_program import run

import tiny_dual
from tiny_world import World
from triptych import Image, load
from triptych.errors import DataError, RecipeError
from triptych.recipe import dump_recipe
from triptych.training.loop import train

LEARNS = {
    "stages.0.steps": 150,
    "stages.0.checkpoint_every": 1000,
    "stages.0.batch_size": 12,
    "stages.0.learning_rate": 3e-3,
}


@pytest.fixture(scope="module")
def trained_dual(world: World, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return train(tiny_dual.recipe(world, LEARNS), tmp_path_factory.mktemp("dual") / "run", quiet=True)


def test_match_puts_the_text_of_the_picture_first(world: World, trained_dual: Path, tmp_path: Path) -> None:
    names = ["red", "green", "blue", "yellow"]
    (tmp_path / "more.txt").write_text("It is blue.\n\nIt is yellow.\n", encoding="utf-8")
    for number, name in enumerate(names):
        picture = world.folder / "pictures" / f"{number:02}.png"
        more = ["--texts", tmp_path / "more.txt"]
        text = run("match", trained_dual, "It is red.", "It is green.", "--image", picture, *more, "--top", 2)
        lines = [line for line in text.splitlines() if "It is" in line]
        assert len(lines) == 2 and name in lines[0] and picture.name in lines[0]


def test_shares_are_those_of_the_models_own_scale(world: World, trained_dual: Path) -> None:
    dual = load(trained_dual)
    cosines = dual.similarity([Image(world.folder / "pictures" / "00.png")], ["It is red.", "It is blue."])
    share = dual.shares(cosines)
    assert share.sum() == pytest.approx(1)
    ratio = np.log(share[0, 0] / share[0, 1]) / (cosines[0, 0] - cosines[0, 1])
    assert ratio == pytest.approx(float(dual.model.logit_scale.detach().exp()), rel=1e-3)


def test_a_dual_encoder_answers_nothing_and_says_what_works(trained_dual: Path) -> None:
    with pytest.raises(RecipeError, match=r"triptych evaluate .*triptych match .*load"):
        run("ask", trained_dual, "What is it?")


def test_what_match_lacks_is_said(trained_dual: Path, world: World, trained: Path, tmp_path: Path) -> None:
    picture = world.folder / "pictures" / "00.png"
    with pytest.raises(DataError, match="by --image"):
        run("match", trained_dual, "a text")
    with pytest.raises(DataError, match="no text"):
        run("match", trained_dual, "--image", picture)
    with pytest.raises(DataError, match="cannot be read as lines"):
        run("match", trained_dual, "--image", picture, "--texts", tmp_path / "none.txt")
    with pytest.raises(RecipeError, match="only a model of `kind: dual` puts pictures and texts in one space"):
        run("match", trained, "a text", "--image", picture)


def test_inspect_shows_what_both_sides_get(world: World, tmp_path: Path) -> None:
    path = tmp_path / "dual.yaml"
    path.write_text(dump_recipe(tiny_dual.recipe(world)))
    text = run("inspect", path, "--sample", 1, "--save", tmp_path / "seen.png")
    assert "It│" in text and "16 × 16 pixels" in text and "2 × 2 patches of 8 pixels" in text
    assert "6 pairs, 30 that do not belong together" in text and "each draw takes one of 2 texts" in text
    with Pillow.open(tmp_path / "seen.png") as seen:
        assert seen.size == (16, 16)
    assert "tokens cut off" in run("inspect", path, "model.text.architecture.max_tokens=3")
