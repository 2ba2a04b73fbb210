"""A small world of boxes, and grounders that point into it."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
from PIL import Image as Pillow

from triptych.conversation import Conversation, Frame, Image, Region, assistant, user
from triptych.conversation.expression import Expression
from triptych.conversation.mask import Mask
from triptych.errors import DataError
from triptych.grounding.grounding import Grounding

FRAME = Frame(40, 30)
NAMES = ("dog", "cat", "cup", "car", "bus", "owl")


class FakeBoxes:
    """Pictures with a few named boxes: expressions for one, for several, for none; a caption of everything."""

    def __init__(
        self, count: int = 40, *, masks: bool = False, captions: bool = False, broken: Sequence[int] = ()
    ) -> None:
        self.count, self.masks, self.captions, self.broken = count, masks, captions, broken

    def __len__(self) -> int:
        return self.count

    def regions(self, index: int) -> list[Region]:
        chance = random.Random(f"boxes/{index}")
        found = []
        for name in [*chance.sample(NAMES, 3), NAMES[index % 6]]:
            left, top = chance.randint(0, 29), chance.randint(0, 19)
            region = Region((left, top, left + chance.randint(4, 10), top + chance.randint(4, 10)), FRAME, name)
            found.append(replace(region, mask=half(region)) if self.masks else region)
        return found

    def expressions(self, index: int) -> tuple[Expression, ...]:
        regions = self.regions(index)
        names = [region.name for region in regions]
        found = []
        for name in NAMES:
            mine = tuple(region for region in regions if region.name == name)
            kind = "none" if not mine else "name" if len(mine) == 1 else "all"
            found.append(Expression(f"the {name}" if names.count(name) < 2 else f"all {name}s", mine, kind))
        return tuple(found)

    def __getitem__(self, index: int) -> Conversation:
        if index in self.broken:
            raise DataError(f"boxes.json:{index + 1}: malformed")
        picture = Image(Pillow.new("RGB", (40, 30)), key=f"boxes/{index}", name=f"boxes {index}")
        facts = {"grounding": self.expressions(index)}
        if self.captions:
            phrases = tuple(Expression(f"a {region.name}", (region,), "caption") for region in self.regions(index))
            facts |= {"grounded_caption": phrases, "caption": " and ".join(each.text for each in phrases)}  # type: ignore[dict-item]
        return Conversation((user(picture, "?"), assistant("!")), f"boxes/{index}", facts)


def half(region: Region) -> Mask:
    """The left half of a box as pixels."""
    left, top, right, bottom = (round(value) for value in region.box)
    pixels = np.zeros((30, 40), bool)
    pixels[top:bottom, left : (left + right) // 2] = True
    return Mask.encode(pixels)


@dataclass
class FakeGrounder:
    """Points by a function of the picture's number and the expression; keeps what it was asked, batch by batch."""

    point: Callable[[int, str], Grounding]
    batches: list[list[tuple[int, str]]] = field(default_factory=list)
    prompt: str = "Point at {expression}!"

    def ground(self, image: Image, expression: str) -> Grounding:
        return self.ground_many([(image, expression)])[0]

    def ground_many(self, pairs: Sequence[tuple[Image, str]]) -> list[Grounding]:
        asked = [(number_of(image), expression) for image, expression in pairs]
        self.batches.append(asked)
        return [self.point(*each) for each in asked]

    @property
    def asked(self) -> list[tuple[int, str]]:
        return [each for batch in self.batches for each in batch]


class FakeDescriber(FakeGrounder):
    """Says everything that a source says of its pictures, too."""

    source: FakeBoxes
    caption_prompt = "What is there?"

    def describe_many(self, images: Sequence[Image]) -> list[Grounding]:
        found = []
        for image in images:
            regions = self.source.regions(number_of(image))
            found.append(Grounding(tuple(replace(region, name=f"the {region.name}") for region in regions), text="…"))
        return found


def number_of(image: Image) -> int:
    return int(str(image.key).rsplit("/", 1)[1])


def knows(source: FakeBoxes) -> Callable[[int, str], Grounding]:
    """Points at what is in the picture that it is shown."""

    def point(number: int, expression: str) -> Grounding:
        name = expression.removeprefix("the ").removeprefix("all ")
        found = [r for r in source.regions(number) if r.name == name or f"{r.name}s" == name]
        return Grounding(tuple(found), text=f"{len(found)} found", verdict="valid" if found else "none")

    return point
