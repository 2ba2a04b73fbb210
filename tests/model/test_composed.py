"""The composed model: one truth about length, parts by name, and a run that comes back."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from tiny_world import World, talk
from triptych.api import load
from triptych.conversation import Conversation, Image, assistant, user
from triptych.errors import RecipeError, WeightsError
from triptych.model.build import build
from triptych.model.composed import MultimodalModel
from triptych.sequence.pack import Batch, Input, pack
from triptych.sequence.plan import Refusal


def batch_of(model: MultimodalModel, *conversations: Conversation) -> Batch:
    batch = pack([model.plan(conversation) for conversation in conversations], 96)
    pixels = tuple(model.encoders["image"].prepare(medium) for medium in batch.media)
    return batch.with_prepared("image", pixels)


def test_the_plan_keeps_as_many_positions_as_features_come(world: World, model: MultimodalModel) -> None:
    shown = world.picture(0)
    (span,) = model.plan(Conversation((user(shown, "What?"), assistant("Red.")))).spans
    encoder, adapter = model.encoders["image"], model.adapters["image"]
    features = encoder.encode([encoder.prepare(shown)])[0]
    assert len(features) == encoder.tokens(shown) == 16
    assert len(adapter(features[None])[0]) == adapter.output_tokens(16) == span.length == 4


def test_features_stand_where_the_plan_kept_their_places(world: World, model: MultimodalModel) -> None:
    conversations = [
        Conversation((user(world.picture(i), "What?", world.picture(0)), assistant("Red."))) for i in range(3)
    ]
    batch = batch_of(model, *conversations)
    adapted = model.adapt(batch)
    assert len(adapted) == len(batch.media) == 3  # the same picture once
    embeddings = model.embeddings(batch)
    tokens = model.language.embed(batch.ids)
    taken = torch.zeros_like(batch.ids, dtype=torch.bool)
    for place in batch.placements:
        stretch = slice(place.start, place.start + place.length)
        assert torch.equal(embeddings[place.row, stretch], adapted[place.medium])
        taken[place.row, stretch] = True
    assert torch.equal(embeddings[~taken], tokens[~taken])


def test_features_made_before_are_used_in_place_of_pixels(world: World, model: MultimodalModel) -> None:
    batch = batch_of(model, Conversation((user(world.picture(0), world.picture(1)), assistant("Red."))))
    with torch.no_grad():
        made = model.encoders["image"].encode(
            [each.prepared for each in batch.inputs["image"] if each is not None and each.prepared is not None]
        )
        live = model(batch)
        half = model(replace(batch, inputs={"image": (Input(made[0]), batch.inputs["image"][1])}))
        cached = model(replace(batch, inputs={"image": tuple(map(Input, made))}))
    assert torch.equal(live, half)
    assert torch.equal(live, cached)


def test_a_picture_changes_what_follows_it_and_not_what_precedes(world: World, model: MultimodalModel) -> None:
    def hidden(shown: Image) -> tuple[torch.Tensor, int]:
        batch = batch_of(model, Conversation((user("What is this?", shown), assistant("Red."))))
        with torch.no_grad():
            return model(batch)[0], batch.placements[0].start

    (one, start), (two, _) = hidden(world.picture(0)), hidden(world.picture(1))
    assert torch.equal(one[:start], two[:start])
    assert not torch.allclose(one[-1], two[-1], atol=1e-4)


def test_parts_cover_the_model_without_overlap(world: World, tiny_cache: Path) -> None:
    model = build(world.recipe({"model.language.lora": {"rank": 2}}))
    everything = {name for name, _ in model.named_parameters()}
    parts = [{name for name, _ in model.part(part)} for part in ("encoders", "adapters", "language", "language.lora")]
    assert sum(map(len, parts)) == len(everything)
    assert set().union(*parts) == everything
    assert {n for n, _ in model.part("adapters.image")} == parts[1]
    layers, embeddings = ({n for n, _ in model.part(f"language.{part}")} for part in ("layers", "embeddings"))
    assert layers | embeddings == parts[2]
    assert not layers & embeddings
    for unknown in ("adaptors", "adapters.sound", "language.heads"):
        with pytest.raises(KeyError):
            list(model.part(unknown))


def test_every_part_that_a_recipe_allows_exists(world: World, tiny_cache: Path) -> None:
    recipe = world.recipe({"model.language.lora": {"rank": 2}})
    model = build(recipe)
    for part in recipe.model.parts:
        if part == "language.biases":  # a LLaMA has none; a stage that would train them says so
            continue
        assert next(iter(model.part(part)), None) is not None, part


def test_a_model_is_the_same_whenever_it_is_built(world: World, tiny_cache: Path) -> None:
    one, two, other = build(world.recipe()), build(world.recipe()), build(world.recipe({"seed": 1}))
    assert all(torch.equal(a, b) for a, b in zip(one.parameters(), two.parameters(), strict=True))
    assert not all(
        torch.equal(a, b) for a, b in zip(one.adapters.parameters(), other.adapters.parameters(), strict=True)
    )


def test_adapted_features_start_at_the_scale_of_token_embeddings(world: World, model: MultimodalModel) -> None:
    batch = batch_of(model, Conversation((user(*(world.picture(i) for i in range(8))), assistant("Red."))))
    spread = float(torch.cat(model.adapt(batch)).detach().std())
    assert 0.5 < spread / float(model.language.embedding.weight.detach().std()) < 2


def test_sequences_longer_than_the_language_model_are_refused_at_once(world: World, tiny_cache: Path) -> None:
    with pytest.raises(RecipeError, match=r"sequence\.max_tokens: 513 is more than the language model's 512"):
        build(world.recipe({"sequence.max_tokens": 513}))


def test_pictures_without_an_encoder_are_refused(world: World, tiny_cache: Path) -> None:
    model = build(
        world.recipe({"model.encoders": {"image": None}, "model.adapters": {"image": None}, "stages": [], "data": {}})
    )
    assert model.plan(talk("Hi", "Ho")).supervised
    with pytest.raises(Refusal, match=r"takes no images.*model\.encoders\.image"):
        model.plan(Conversation((user(world.picture(0)), assistant("Red."))))


def test_folders_that_hold_no_finished_run(trained: Path, tmp_path: Path) -> None:
    with pytest.raises(WeightsError, match="not a run's folder"):
        load(tmp_path)
    run = tmp_path / "run"
    shutil.copytree(trained, run)
    weights = run / "weights" / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:100])
    with pytest.raises(WeightsError, match="cannot be read"):
        load(run)
    save_file({"adapters.image.other": torch.zeros(3)}, weights)
    with pytest.raises(WeightsError, match=r"28 tensors are missing.*no place for 1 tensor \(adapters\.image\.other\)"):
        load(run)
    weights.unlink()
    with pytest.raises(WeightsError, match=r"training has not finished; continue it with `triptych train .*--resume`"):
        load(run)
