"""Kosmos-2's decoder as a language model: built from a recipe, packed rows equal single ones, cached equals uncached."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
import torch

from tiny_world import World, talk, tokenizer
from triptych.errors import RecipeError
from triptych.generate.config import GenerationSettings
from triptych.generate.generator import Generator
from triptych.language.build import build
from triptych.language.config import LanguageConfig
from triptych.model.build import build as build_model
from triptych.model.composed import MultimodalModel
from triptych.sequence.pack import pack


def architecture(**changes: Any) -> dict[str, Any]:
    values = {"model_type": "kosmos_2_text_model", "vocab_size": len(tokenizer()), "embed_dim": 32, "layers": 2}
    return values | {"ffn_dim": 48, "attention_heads": 4, "max_position_embeddings": 512} | changes


@pytest.fixture
def kosmos(world: World, tiny_cache: object) -> MultimodalModel:
    language = {"architecture": architecture(), "tokenizer": "file:language", "precision": "float32"}
    model = build_model(world.recipe({"model.language": language}))
    with torch.no_grad():
        for parameter in model.language.parameters():
            parameter.normal_(mean=0.2, std=0.3)
    return model.eval()


def test_packed_documents_do_not_see_each_other_and_positions_start_again(
    kosmos: MultimodalModel, world: World
) -> None:
    conversations = [
        talk("Say hello.", "hello there"), talk(world.picture(0), "It is red."), talk("Who is it?", "It is blue. " * 3)
    ]  # fmt: skip
    layouts = [kosmos.plan(conversation) for conversation in conversations]

    def hidden(rows: list[Any], length: int) -> list[torch.Tensor]:
        batch = pack(rows, length, pad=kosmos.language.placeholder)
        pixels = tuple(kosmos.encoder("image").prepare(medium) for medium in batch.media)

        with torch.inference_mode():
            states = kosmos(batch.with_prepared("image", pixels))
        return [states[batch.documents == i] for i in range(len(batch.conversations))]

    packed = hidden(layouts, 400)
    order = sorted(range(3), key=lambda i: -len(layouts[i]))
    for i, found in zip(order, packed, strict=True):
        torch.testing.assert_close(found, hidden([layouts[i]], 400)[0], atol=1e-5, rtol=0)


def test_answers_read_from_the_cache_equal_those_read_whole(kosmos: MultimodalModel, world: World) -> None:
    conversations = [talk(world.picture(1)), talk("Say hello."), talk("Who is it, there?")]
    settings = GenerationSettings(max_new_tokens=5)
    together = Generator(kosmos).respond(conversations, settings)
    for conversation, reply in zip(conversations, together, strict=True):
        layout = kosmos.plan(conversation, reply=True)
        ids = list(layout.ids)
        said: list[int] = []
        end = kosmos.language.template.end[-1]
        while len(said) < 5 and (not said or said[-1] != end):
            batch = pack([_extended(layout, said)], 400, pad=kosmos.language.placeholder)
            pixels = tuple(kosmos.encoder("image").prepare(medium) for medium in batch.media)

            with torch.inference_mode():
                logits = kosmos.language.logits(
                    kosmos(batch.with_prepared("image", pixels))[0, len(ids) + len(said) - 1]
                )
            said.append(int(logits.argmax()))
        assert reply.tokens == len(said)
        text = kosmos.language.tokenizer.decode([i for i in said if i != end], skip_special_tokens=True)
        assert reply.text == text.strip()


def _extended(layout: Any, said: list[int]) -> Any:

    return replace(layout, ids=(*layout.ids, *said), labels=(*layout.labels, *[-100] * len(said)))


def test_an_architecture_that_is_no_language_model_is_named(world: World) -> None:
    config = LanguageConfig(architecture={"model_type": "clip_vision_model"}, tokenizer="file:language")
    with pytest.raises(RecipeError, match="'clip_vision_model' is no causal language model"):
        build(config, world.folder)
