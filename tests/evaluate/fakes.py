"""A small world whose pictures need no drawing to be seen, and responders that answer about it."""

from __future__ import annotations

import random
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from PIL import Image as Pillow

from triptych.conversation import Conversation, Image, assistant, user
from triptych.errors import DataError
from triptych.generate.config import GenerationSettings, Reply

NAMES = ("dog", "cat", "mouse", "apple", "hot dog", "soccer ball", "glasses", "tree")
PLACES = ("top left", "top right", "bottom left", "bottom right")

World = dict[str, str]
"""Place → name of what is there."""


def answer(world: World, question: str) -> str:
    """What somebody who sees the world answers."""
    things = list(world.values())
    places = {name: place for place, name in world.items()}
    if match := re.fullmatch(r"Is there a (.+)\?", question):
        return "yes" if match[1] in things else "no"
    if match := re.fullmatch(r"What is at the (.+)\?", question):
        return world.get(match[1], "nothing")
    if match := re.fullmatch(r"Where is the (.+)\?", question):
        return places.get(match[1], "nowhere")
    if question == "How many objects are there?":
        return str(len(things))
    if match := re.fullmatch(r"Are there more (.+)s than (.+)s\?", question):
        return "yes" if things.count(match[1]) > things.count(match[2]) else "no"
    if match := re.fullmatch(r"Is the (.+) above the (.+)\?", question):
        return "yes" if "top" in places.get(match[1], "") and "bottom" in places.get(match[2], "") else "no"
    if match := re.fullmatch(r"What is right of the (.+)\?", question):
        return world.get(places.get(match[1], "").replace("left", "right"), "nothing")
    raise AssertionError(question)


class FakeScenes:
    """Conversations about worlds of two to four things, six questions each, one of every kind."""

    def __init__(self, count: int = 60, *, seed: int = 0, broken: Sequence[int] = ()) -> None:
        self.count, self.seed, self.broken = count, seed, broken

    def __len__(self) -> int:
        return self.count

    def world(self, index: int) -> World:
        chance = random.Random(f"{self.seed}/{index}")
        places = chance.sample(PLACES, chance.choice([2, 3, 4]))
        return {place: chance.choice(NAMES) for place in places}

    def __getitem__(self, index: int) -> Conversation:
        if index in self.broken:
            raise DataError(f"worlds.json:{index + 1}: malformed")
        world, chance = self.world(index), random.Random(f"questions/{self.seed}/{index}")
        things = list(world.values())
        absent = [name for name in NAMES if name not in things]
        one, other = chance.choice(things), chance.choice(absent)
        place = chance.choice(list(world))
        more = [one, other] if chance.random() < 0.5 else [other, one]
        texts = {
            "existence": f"Is there a {one if chance.random() < 0.5 else other}?",
            "naming": f"What is at the {place}?",
            "place": f"Where is the {one}?",
            "counting": "How many objects are there?",
            "comparison": f"Are there more {more[0]}s than {more[1]}s?",
            "relation": f"Is the {one} above the {chance.choice(things)}?",
        }
        if "top left" in world and "top right" in world and chance.random() < 0.5:
            texts["relation"] = f"What is right of the {world['top left']}?"
        turns = [{"kind": k, "question": text, "answer": answer(world, text)} for k, text in texts.items()]
        picture = self.picture(index)
        messages = [
            message
            for i, turn in enumerate(turns)
            for message in (user(*[picture][: i == 0], turn["question"]), assistant(turn["answer"]))
        ]
        facts = {"objects": [{"name": name, "place": place} for place, name in world.items()]}
        return Conversation(tuple(messages), f"worlds/{index}", {"scene": facts, "questions": turns})

    def picture(self, index: int) -> Image:
        return Image(Pillow.new("RGB", (4, 4)), key=f"world/{self.seed}/{index}", name=f"world {index}")


CAPTIONS = (
    "A black dog runs across the green grass.",
    "A man rides a bicycle down a busy street.",
    "Two children are playing with a red ball.",
    "A woman in a blue shirt is climbing a rock.",
    "Several people sit around a table in a restaurant.",
    "A brown horse jumps over a wooden fence.",
)


class FakeCaptions:
    """Pictures with three captions each, one conversation per caption, as a reader of COCO files makes them."""

    def __init__(self, count: int = 12, *, name: str = "photo", broken: Sequence[int] = ()) -> None:
        self.count, self.name, self.broken = count, name, broken

    def __len__(self) -> int:
        return 3 * self.count

    def references(self, number: int) -> tuple[str, ...]:
        text = CAPTIONS[number % len(CAPTIONS)].rstrip(".").lower()
        return (f"{text} .", f"{text} on day {number} .", f"In the picture {text}.")

    def __getitem__(self, index: int) -> Conversation:
        number, which = divmod(index, 3)
        if number in self.broken:
            raise DataError(f"captions.json: image {number}: no such file")
        references = self.references(number)
        picture = Image(Pillow.new("RGB", (4, 4)), key=f"{self.name}/{number}", name=f"{self.name} {number}")
        messages = (user(picture, "Describe it."), assistant(references[which]))
        return Conversation(messages, f"{number}/{which}", {"image_id": number, "references": references})


@dataclass
class Fake:
    """A responder made of a function of picture key and question. It keeps what it was asked, batch by batch."""

    say: Callable[[str, str], str]
    batches: list[list[tuple[str, str]]] = field(default_factory=list)

    def respond(self, conversations: Sequence[Conversation], settings: GenerationSettings) -> list[Reply]:
        asked = []
        for conversation in conversations:
            (message,) = conversation.messages
            picture, question = message.parts  # one picture, first
            assert message.role == "user"
            assert isinstance(picture, Image)
            assert isinstance(question, str)
            asked.append((str(picture.key), question))
        self.batches.append(asked)
        return [Reply(self.say(*each), tokens=1, finish="stop") for each in asked]

    @property
    def asked(self) -> list[tuple[str, str]]:
        return [each for batch in self.batches for each in batch]


def seer(source: FakeScenes, wording: Callable[[str], str] = str) -> Fake:
    """Answers every question by what is in the picture that it is shown."""

    def say(key: str, question: str) -> str:
        return wording(answer(source.world(int(key.rsplit("/", 1)[1])), question))

    return Fake(say)


def noisy(source: FakeScenes, skill: float, seed: int = 0) -> Fake:
    """Right with a probability of `skill`, else wrong in a form that can be parsed."""
    wrong = {"yes": "no", "no": "yes", "2": "3", "3": "4", "4": "2"} | {
        each: each_of[i - 1] for each_of in (NAMES, PLACES) for i, each in enumerate(each_of)
    }
    sees = seer(source)

    def say(key: str, question: str) -> str:
        truth = sees.say(key, question)
        lucky = random.Random(f"{seed}/{key}/{question}").random() < skill
        return truth if lucky else wrong.get(truth, "no")

    return Fake(say)
