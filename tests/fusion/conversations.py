"""Batches of conversations, as training packs them."""

from __future__ import annotations

import random

from tiny_world import World
from triptych.conversation import Conversation, assistant, user
from triptych.model.composed import MultimodalModel
from triptych.sequence.pack import Batch, pack


def batch_of(model: MultimodalModel, *conversations: Conversation, row: int = 160) -> Batch:
    """The conversations packed into rows of at most `row` tokens, pixels at hand."""
    batch = pack([model.plan(conversation) for conversation in conversations], row)
    pixels = tuple(model.encoder("image").prepare(medium) for medium in batch.media)
    return batch.with_prepared("image", pixels)


def documents(world: World, count: int, seed: int = 0) -> list[Conversation]:
    """Conversations with none to three pictures anywhere in them, some pictures several times."""
    draw = random.Random(seed)
    words = ["what", "colour", "is", "this", "red", "green", "left", "right", "hello"]
    made = []
    for number in range(count):
        messages = []
        for _ in range(draw.randint(1, 2)):
            parts = [" ".join(draw.choices(words, k=draw.randint(1, 5))) for _ in range(2)]
            pictures = [world.picture(draw.randint(0, 4)) for _ in range(draw.choice([0, 1, 1, 2]))]
            said = [*parts, *pictures]
            draw.shuffle(said)
            messages += [user(*said), assistant(" ".join(draw.choices(words, k=draw.randint(1, 6))))]
        made.append(Conversation(tuple(messages), id=str(number)))
    return made
