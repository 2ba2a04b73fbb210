"""A dual encoder with frozen sides: what learns, what is cached, and that one text's features do not depend on others."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file

import tiny_dual
from tiny_dual import frozen_values as values
from tiny_world import World
from triptych import load
from triptych.conversation import Image
from triptych.data.features import FeatureCache
from triptych.errors import RecipeError
from triptych.families.dual.build import build_dual
from triptych.families.dual.frozen import FrozenTexts
from triptych.language.build import build as build_language
from triptych.language.config import LanguageConfig
from triptych.recipe import parse_recipe
from triptych.training.loop import train


@pytest.fixture
def trained(world: World, tmp_path: Path) -> Iterator[Path]:
    yield train(parse_recipe(values(world)), tmp_path / "run", quiet=True)


def test_only_the_heads_learn_and_only_they_are_saved(world: World, trained: Path) -> None:
    saved = load_file(trained / "weights" / "model.safetensors")
    assert all(name.startswith(("vision.head.", "text.head.", "logit_scale")) for name in saved)
    fresh = build_dual(parse_recipe(values(world)))
    after = load(trained).model
    before = dict(fresh.named_parameters())
    for name, parameter in after.named_parameters():
        changed = not torch.equal(parameter, before[name])
        assert changed == name.startswith(("vision.head.", "text.head.", "logit_scale")), name


def test_training_reads_the_cache_and_gives_what_live_encoding_gives(
    world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TRIPTYCH_CACHE", str(tmp_path / "cache"))
    recipe = parse_recipe(values(world))
    cached = load_file(train(recipe, tmp_path / "a", quiet=True) / "weights" / "model.safetensors")
    assert len(FeatureCache.of(build_dual(recipe).frozen_encoder.fingerprint)) == 12  # type: ignore[union-attr]
    live = parse_recipe(values(world, **{"loading.cache_features": False}))
    encoded = load_file(train(live, tmp_path / "b", quiet=True) / "weights" / "model.safetensors")
    assert all(torch.equal(cached[name], encoded[name]) for name in cached)


@pytest.mark.parametrize("layer", [0, 1, 2])
def test_a_text_side_is_the_mean_of_the_language_models_hidden_states(world: World, layer: int) -> None:
    from transformers import AutoModelForCausalLM

    model = build_dual(parse_recipe(values(world, layer)))
    texts = ["It is red.", "number 3, blue, and a longer text than the other"]
    found = model.text_features(texts)
    reference = AutoModelForCausalLM.from_pretrained(world.folder / "language", dtype=torch.bfloat16).eval()
    for text, features in zip(texts, found, strict=True):
        ids = torch.tensor([model.words.ids(text)[:-1]])
        with torch.no_grad():
            states = reference.model(input_ids=ids, output_hidden_states=True).hidden_states[layer]
        words = states[0].float()[ids[0] != (model.words.tokenizer.bos_token_id or -1)]
        torch.testing.assert_close(features, words.mean(dim=0), atol=2e-2, rtol=2e-2)
    alone = build_dual(parse_recipe(values(world, layer))).text_features(texts[:1])
    torch.testing.assert_close(found[:1], alone, atol=5e-3, rtol=5e-3)


def test_a_text_is_read_once(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    model = build_dual(parse_recipe(values(world)))
    read: list[int] = []
    own = FrozenTexts._states

    def counted(self: FrozenTexts, ids: torch.Tensor, lengths: torch.Tensor) -> torch.Tensor:
        read.append(len(ids))
        return own(self, ids, lengths)

    monkeypatch.setattr(FrozenTexts, "_states", counted)
    first = model.text_features(["It is red.", "It is blue.", "It is red."])
    again = model.text_features(["It is blue.", "It is red."])
    assert read == [2]
    assert torch.equal(first[[1, 0]], again) and torch.equal(first[0], first[2])


def test_a_query_that_knows_nothing_yet_takes_the_mean(world: World) -> None:
    model = build_dual(parse_recipe(values(world)))
    features = torch.randn(3, 5, 16)
    torch.testing.assert_close(model.vision.pool(features), features.mean(dim=1))  # type: ignore[operator, union-attr]


def test_pixels_and_their_features_have_one_direction(world: World) -> None:
    model = build_dual(parse_recipe(values(world)))
    pictures = [Image(world.folder / "pictures" / f"{i:02}.png") for i in range(3)]
    encoder = model.frozen_encoder
    assert encoder is not None
    pixels = [model.prepare(picture) for picture in pictures]
    features = torch.stack(encoder.encode(pixels))
    assert torch.equal(model.encode_pixels(torch.stack(pixels)), model.encode_pixels(features))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"stages.0.train": ["vision", "text.head"]}, "train `vision.head`"),
        ({"model.masked_features": 8}, "for a tower that learns"),
        ({"model.tokenizer": "file:language"}, "reads with its language model's"),
        ({"model.vision.encoder.layers": 3}, "model.vision.encoder.layers: unknown field"),
        ({"model.vision.kind": "frosen"}, "did you mean 'frozen'"),
        ({"model.embed_dim": None}, "how many channels the shared space has"),
    ],
)
def test_mistakes_are_answered(world: World, changes: dict[str, Any], message: str) -> None:
    found = values(world)
    for path, value in changes.items():
        *parents, last = path.split(".")
        target: Any = found
        for step in parents:
            target = target[int(step)] if isinstance(target, list) else target[step]
        target[last] = value
    with pytest.raises(RecipeError, match=message):
        parse_recipe(found)


def test_a_tower_trains_as_a_whole(world: World) -> None:
    with pytest.raises(RecipeError, match="train `vision`"):
        tiny_dual.recipe(world, {"stages.0.train": ["vision.head"]})


def test_no_more_layers_than_there_are(world: World) -> None:
    language = build_language(LanguageConfig(weights="file:language"), world.folder)
    with pytest.raises(RecipeError, match="more than the language model's"):
        FrozenTexts(language, 8, parse_recipe(values(world, 99)).model.text)  # type: ignore[union-attr, arg-type]
