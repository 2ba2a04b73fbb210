"""Answers of fused models: with a cache, in batches, with shared prefixes and in portions, they are the full forward pass's."""

from __future__ import annotations

import random

import pytest
import torch

from fusion.architectures import FUSIONS, composed
from fusion.conversations import batch_of
from tiny_world import World, talk
from triptych.conversation import Conversation, assistant, user
from triptych.generate import generator as generation
from triptych.generate.config import GenerationSettings, Reply
from triptych.generate.generator import Generator
from triptych.sequence.pack import pack

SETTINGS = GenerationSettings(max_new_tokens=6)
KINDS = [(fusion, "llama") for fusion in FUSIONS] + [
    ("splice", "mistral"),
    ("cross_attend", "gpt2"),
    ("prompt", "mistral"),
]


def prompts(world: World, count: int, seed: int = 0) -> list[Conversation]:
    """Questions of unequal length about none, one or two pictures, several of them about the same."""
    draw = random.Random(seed)
    words = ["what", "colour", "is", "this", "on", "the", "left", "hello", "who"]
    made = []
    for _ in range(count):
        pictures = [world.picture(draw.randint(0, 2)) for _ in range(draw.choice([0, 1, 1, 2]))]
        messages = [user(*pictures, " ".join(draw.choices(words, k=draw.randint(1, 9))))]
        if draw.random() < 0.4:
            messages += [assistant("It is red."), user("And", *[world.picture(3)] * draw.randint(0, 1), "this?")]
        made.append(Conversation(tuple(messages)))
    return made


def tokens_of(generator: Generator, conversations: list[Conversation]) -> list[tuple[int, ...]]:
    """The tokens behind the replies: unequal tokens may make equal texts."""
    seen: dict[int, tuple[int, ...]] = {}
    original = generator._reply

    def spy(tokens: list[int]) -> Reply:
        reply = original(tokens)
        seen[id(reply)] = tuple(tokens)
        return reply

    generator._reply = spy  # type: ignore[method-assign]
    try:
        return [seen[id(reply)] for reply in generator.respond(conversations, SETTINGS)]
    finally:
        generator._reply = original  # type: ignore[method-assign]


@pytest.mark.parametrize(("fusion", "kind"), KINDS)
def test_a_cached_answer_is_what_full_forward_passes_choose(world: World, fusion: str, kind: str) -> None:
    model = composed(world, FUSIONS[fusion], kind)
    generator = Generator(model)
    for conversation in prompts(world, 5, seed=1):
        layout = model.plan(conversation, reply=True)
        tokens: list[int] = []
        for _ in range(SETTINGS.max_new_tokens):
            grown = type(layout)(layout.ids + tuple(tokens), layout.labels + (-100,) * len(tokens), layout.spans)
            batch = pack([grown], 512)
            pixels = tuple(model.encoder("image").prepare(medium) for medium in batch.media)
            batch = batch.with_prepared("image", pixels)
            with torch.no_grad():
                tokens.append(int(model.language.logits(model(batch)[0, -1]).argmax()))
            if tokens[-1] == model.language.template.end[-1]:
                break
        assert tokens_of(generator, [conversation]) == [tuple(tokens)]


@pytest.mark.parametrize(("fusion", "kind"), KINDS)
def test_batches_answer_what_each_prompt_is_answered_alone(
    world: World, fusion: str, kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = composed(world, FUSIONS[fusion], kind)
    generator = Generator(model)
    conversations = [*prompts(world, 14), talk("hello"), talk("who is this")]
    alone = [tokens_of(generator, [conversation])[0] for conversation in conversations]
    assert len(set(alone)) > 3
    assert tokens_of(generator, conversations) == alone
    monkeypatch.setitem(generation.PREFILL_TOKENS, "cpu", 60)
    assert tokens_of(generator, conversations) == alone


@pytest.mark.parametrize("fusion", FUSIONS)
def test_questions_about_one_picture_share_what_they_have_read(
    world: World, fusion: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = composed(world, FUSIONS[fusion])
    generator = Generator(model)
    asked = [Conversation((user(world.picture(i), word),)) for i in (0, 1) for word in ("what", "who is this", "left")]
    alone = [tokens_of(generator, [conversation])[0] for conversation in asked]
    rows: list[int] = []
    original = model.read
    monkeypatch.setattr(model, "read", lambda *a, **k: rows.append(len(a[0])) or original(*a, **k))
    assert tokens_of(generator, asked) == alone
    assert rows[:2] == [2, 6]  # both pictures once, then what differs


def test_keys_of_media_are_made_once_for_an_answer(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    model = composed(world, FUSIONS["cross_attend"])
    block = model.fusion.blocks[0]  # type: ignore[index]
    made: list[int] = []
    original = block.project
    monkeypatch.setattr(block, "project", lambda media: made.append(len(media)) or original(media))
    Generator(model).respond([Conversation((user(world.picture(0), "what"),))], SETTINGS)
    assert made == [1]


def test_batches_of_the_tests_hold_what_they_say(world: World) -> None:
    model = composed(world, FUSIONS["prompt"])
    batch = batch_of(model, Conversation((user(world.picture(0), "What?"), assistant("Red."))))
    assert [place.length for place in batch.placements] == [0]
