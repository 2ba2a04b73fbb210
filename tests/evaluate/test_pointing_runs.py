"""What evaluating a run that points depends on: whom it calls, and how its answers are decoded."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from triptych.api import Model
from triptych.cli.commands.evaluate import recipe_tasks as command
from triptych.evaluate.config import GroundingTaskConfig
from triptych.families.composed import loaded
from triptych.families.composed.grounding import fingerprint_of
from triptych.families.composed.loaded import Assistant
from triptych.generate.config import GenerationSettings
from triptych.recipe import dump_recipe


def calling(world: Any, **regions: Any) -> Any:
    """As much of a trained model as is looked at."""
    recipe = world.recipe({"model.regions": {"kind": "call", **regions}})
    return SimpleNamespace(recipe=recipe, fingerprint="own")


def test_a_detector_trained_anew_or_other_masks_are_another_model(world: Any, tmp_path: Path) -> None:
    run, sam = tmp_path / "detector", tmp_path / "sam"
    for folder in (run / "weights", sam):
        folder.mkdir(parents=True)
        (folder / "model.safetensors").write_bytes(b"first")
    (run / "recipe.yaml").write_text(dump_recipe(world.recipe({})))
    detector, masks = {"kind": "trained", "weights": f"run:{run}"}, {"weights": f"file:{sam}"}
    model = calling(world, detector=detector, masks=masks)
    seen = [fingerprint_of(model), fingerprint_of(calling(world, detector=detector))]
    assert seen[0] == fingerprint_of(model)
    for changed in (run / "weights", sam):
        (changed / "model.safetensors").write_bytes(b"second")
        seen.append(fingerprint_of(model))
    assert len({*seen, "own"}) == 5
    hub = calling(world, detector={"kind": "grounding_dino", "weights": f"file:{sam}"})
    before = fingerprint_of(hub)
    (sam / "preprocessor_config.json").write_text("{}")
    assert fingerprint_of(hub) != before
    plain = SimpleNamespace(recipe=world.recipe({"model.regions": {"kind": "text"}}), fingerprint="own")
    assert fingerprint_of(plain) == "own"  # type: ignore[arg-type]


def test_answers_are_decoded_as_the_recipe_says_where_the_task_says_nothing(
    world: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Calls that may take 512 tokens are not cut after the 64 of another default."""
    asked: list[Any] = []
    monkeypatch.setattr(command, "build_source", lambda *_: [])
    monkeypatch.setattr(loaded, "fingerprint_of", lambda _: "")
    monkeypatch.setattr(loaded, "build_grounder", lambda _, settings: settings)
    monkeypatch.setattr(command, "evaluate", lambda *given, **_: asked.append((given[0], given[2].generation)))
    own, given = GenerationSettings(max_new_tokens=512), GenerationSettings(max_new_tokens=9)
    calls = {"kind": "call", "generation": own.model_dump()}
    for regions, generation in ((calls, None), (calls, given), ({"kind": "text"}, None)):
        model = Assistant.__new__(Assistant)
        Model.__init__(model, None, world.recipe({"model.regions": regions}), "own")
        task = GroundingTaskConfig(data=next(iter(model.recipe.data)), generation=generation)
        command._evaluated(model, task, tmp_path, "ground", False)
    assert asked == [(own, own), (given, given), (GenerationSettings(), GenerationSettings())]
