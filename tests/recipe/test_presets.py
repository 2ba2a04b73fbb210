"""Presets: every one reads, by name; and the published scale has the published sizes."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from triptych.data.boxes.config import BoxesConfig
from triptych.errors import RecipeError
from triptych.families.composed.shape import build_composed_shape as build
from triptych.recipe import load_recipe, preset_names
from triptych.recipe.included import PRESETS, preset_path
from triptych.scenes.config import EpisodesConfig, ScenesConfig
from triptych.scenes.referring.config import ReferringConfig
from triptych.zoo import entry

MINIS = [name for name in preset_names() if name.endswith("-mini")]
PUBLISHED = [name for name in preset_names() if not name.endswith("-mini")]


@pytest.mark.parametrize("name", preset_names())
def test_every_preset_reads_by_its_name(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    recipe = load_recipe(name)
    assert recipe.name == name and recipe.stages
    assert Path(recipe.base) == tmp_path.resolve()  # data are looked for where the user is, not in the package


@pytest.mark.parametrize("name", MINIS)
def test_a_miniature_needs_nothing_but_the_embedded_data_and_is_asked_something(name: str) -> None:
    recipe = load_recipe(name)
    options = [config.model_dump() for config in recipe.data.values()]
    assert all(
        isinstance(config, ScenesConfig | EpisodesConfig | ReferringConfig) or config.kind.startswith("triptych.")
        for config in recipe.data.values()
    ), options
    assert recipe.evaluation
    assert all(task.control or name == "llama-mini" for task in recipe.evaluation.values())
    assert all(recipe.data[task.data].model_dump().get("split") == "test" for task in recipe.evaluation.values())


@pytest.mark.parametrize("name", preset_names())
def test_a_pointing_model_is_asked_as_it_was_trained(name: str) -> None:
    recipe = load_recipe(name)
    regions = recipe.model.regions if recipe.model.kind == "composed" else None
    trained = [data.wordings for data in recipe.data.values() if isinstance(data, BoxesConfig | ReferringConfig)]
    if regions is None or not trained:
        pytest.skip("it does not point, or learned it from no expressions")
    assert all(regions.prompt in wordings for wordings in trained)


@pytest.mark.parametrize("name", PUBLISHED)
def test_what_is_remembered_says_so(name: str) -> None:
    """Published hyperparameters are verified, or marked as not; a preset without either would be a claim."""
    text = preset_path(name).read_text()
    assert "arxiv.org/abs/" in text or yaml.safe_load(text).get("extends") in PUBLISHED


def test_extending_a_preset(tmp_path: Path) -> None:
    path = tmp_path / "llava.yaml"  # of the preset's own name: no circle
    path.write_text("extends: llava\nmodel: {language: {weights: 'hf:me/mine'}}\n")
    recipe = load_recipe(path)
    assert recipe.model.language.weights == "hf:me/mine"
    assert recipe.stages[0].chat_template == "llava-plain"
    assert Path(recipe.base) == tmp_path.resolve()


def test_a_file_comes_before_the_preset_of_its_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("llava").write_text((PRESETS / "llava-mini.yaml").read_text())
    assert load_recipe("llava").model.encoders == load_recipe("llava-mini").model.encoders


def test_a_name_that_is_neither_is_answered_with_the_nearest() -> None:
    with pytest.raises(RecipeError, match="did you mean 'llava-mini'"):
        load_recipe("llava-mni")
    with pytest.raises(RecipeError, match="did you mean 'flamingo'"):
        preset_path("flamengo")


def sizes(name: str, *parts: str) -> list[int]:
    model = build(load_recipe(name), bfloat16_encoder=False)
    return [sum(parameter.numel() for _, parameter in model.part(part)) for part in parts]


@pytest.mark.parametrize(
    ("name", "part", "published"),
    [
        ("llama-7b", "language", 6.7e9),
        ("llama-13b", "language", 13.0e9),
        ("llama-33b", "language", 32.5e9),
        ("llama-65b", "language", 65.2e9),
        ("llava", "adapters.image", 4.2e6),
        ("llava-v1.5", "adapters.image", 21.0e6),
        ("minigpt4", "adapters.image.projection", 768 * 4096 + 4096),
        ("minigpt4-v2", "adapters.image", 5632 * 4096 + 4096),
        ("llama-adapter", "fusion", 1.23e6),
        ("instructblip", "adapters.image", 188e6),
        ("minigpt4", "encoders.image", 986e6),
    ],
)
def test_parts_have_their_published_sizes(name: str, part: str, published: float) -> None:
    assert sizes(name, part)[0] == pytest.approx(published, rel=0.01)


@pytest.mark.parametrize(
    ("name", "vision", "text"),
    [("clip", 304.0e6, 123.7e6), ("eva-clip", 304.1e6, 123.7e6), ("siglip", 92.9e6, 110.3e6)],
)
def test_dual_encoders_have_their_published_sizes(name: str, vision: float, text: float) -> None:
    """Both towers of the preset; those of CLIP B/32 and EVA-02-CLIP B/16 are counted beside the towers (`test_vit`)."""
    parts = {part.name: part.parameters for part in entry(name).parts}
    assert parts["vision"] == pytest.approx(vision, rel=0.01)
    assert parts["text"] == pytest.approx(text, rel=0.01)


def test_kosmos_has_its_published_size() -> None:
    """A decoder of 1.3 B parameters, 1.6 B with tower and connector (rounded so in the paper)."""
    decoder, connector, tower = sizes("kosmos-1", "language", "adapters", "encoders")
    assert decoder == pytest.approx(1.3e9, rel=0.05)
    assert decoder + connector + tower == pytest.approx(1.6e9, rel=0.05)


def test_only_what_a_stage_names_learns() -> None:
    recipe = load_recipe("minigpt4")
    assert recipe.stages[0].train == ["adapters.image.projection"]
    whole, projection = sizes("minigpt4", "adapters.image", "adapters.image.projection")
    assert projection < whole / 30
