"""Words of installed packages, paths of classes, and what is said about wrong ones."""

from __future__ import annotations

import subprocess
import sys
from importlib.metadata import EntryPoint
from pathlib import Path
from typing import Any

import pytest

from tiny_world import World
from triptych import registry
from triptych.errors import RecipeError
from triptych.model.build import build


@pytest.fixture
def installed(monkeypatch: pytest.MonkeyPatch) -> None:
    """A package that registers an adapter and an optimiser."""
    points = {
        ("triptych.adapter", "halves"): "registry_parts:Halves",
        ("triptych.optimiser", "signs"): "registry_parts:Signs",
        ("triptych.model", "vq"): "vq_family.config:VQConfig",
    }

    def entry_points(group: str, name: str) -> list[EntryPoint]:
        value = points.get((group, name))
        return [EntryPoint(name, value, group)] if value else []

    monkeypatch.setattr(registry, "entry_points", entry_points)


@pytest.mark.usefixtures("installed")
def test_words_of_installed_packages(world: World, tiny_cache: Path) -> None:
    recipe = world.recipe({"model.adapters.image": {"kind": "halves", "gain": 3.0}, "stages.0.optimiser": "signs"})
    adapter: Any = build(recipe).adapter("image")  # type: ignore[attr-defined]
    assert type(adapter).__name__ == "Halves" and adapter.gain == 3.0
    assert recipe.stages[0].optimiser.kind == "signs"
    with pytest.raises(RecipeError, match=r"model\.side: .*multiple of 4"):
        world.recipe({"model": {"kind": "vq", "side": 7}})


@pytest.mark.usefixtures("installed")
def test_a_built_in_word_is_not_replaced(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(registry, "entry_points", lambda **_: pytest.fail("looked for a built-in word"))
    assert world.recipe({"model.adapters.image.kind": "linear"}).model.kind == "composed"


@pytest.mark.parametrize("kind", ["a.b:", ":C", "a..b:C", "a.b:C.d", "a b:C", "a/b:C"])
def test_a_path_has_one_form(world: World, kind: str) -> None:
    with pytest.raises(RecipeError, match=r"is no path of a class; expected package\.module:Class"):
        world.recipe({"model.adapters.image": {"kind": kind}})


def test_code_names_are_found_at_any_depth() -> None:
    values = {"model": {"kind": "a.b:C", "x": [{"kind": "d:E"}, {"kind": "mlp"}]}, "data": {"y": {"kind": "f.g:H"}}}
    assert sorted(registry.code_names(values)) == ["a.b:C", "d:E", "f.g:H"]


def test_reading_a_recipe_imports_none_of_its_components(tmp_path: Path) -> None:
    (tmp_path / "noisy.py").write_text("raise SystemExit('imported')")
    code = (
        "from triptych.recipe import load_recipe\n"
        "recipe = load_recipe('quickstart', ['model.adapters.image={kind: noisy:Adapter}', 'data.scenes={kind: noisy:Data}'])\n"
        "print(recipe.model.adapters.image.kind)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, cwd=tmp_path, env=_with(tmp_path), check=False
    )
    assert done.stdout.strip() == "noisy:Adapter", done.stderr


def _with(folder: Path) -> dict[str, str]:
    import os

    return {**os.environ, "PYTHONPATH": os.pathsep.join([str(folder), os.environ.get("PYTHONPATH", "")])}
