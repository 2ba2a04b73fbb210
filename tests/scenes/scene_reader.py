"""An independent reading of scene questions: from the English text and plain facts to the exact answer.

Shares nothing with the code that writes the questions: a world is a mapping from places to names of things.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping

World = Mapping[str, str]

GRID = {
    "top left": (0, 0), "top": (1, 0), "top right": (2, 0),
    "left": (0, 1), "center": (1, 1), "right": (2, 1),
    "bottom left": (0, 2), "bottom": (1, 2), "bottom right": (2, 2),
}  # fmt: skip

PLACE_AT = {cell: place for place, cell in GRID.items()} | {None: None}

NUMBERS = {"a": 1, "an": 1, "two": 2, "three": 3, "four": 4, "five": 5, "six": 6, "seven": 7, "eight": 8, "nine": 9}


class Reader:
    """Reads questions and captions, given the plural of each name."""

    def __init__(self, plurals: Mapping[str, str]) -> None:
        self.singular = {plural: name for name, plural in plurals.items()}

    def answer(self, world: World, question: str) -> str | None:
        """The exact answer; None where the question presupposes what does not hold ("the dog" of two dogs)."""
        return self.understand(question)(world)

    def understand(self, question: str) -> Callable[[World], str | None]:
        """What a question asks of a world."""
        if "objects" in question:
            return lambda world: str(len(world))
        if match := re.search(r"(more|fewer) (.+) than (.+)\?", question):
            more, (first, second) = match[1] == "more", (self.singular[plural] for plural in match.group(2, 3))

            def compared(world: World) -> str:
                difference = _count(world, first) - _count(world, second)
                return "yes" if (difference > 0 if more else difference < 0) else "no"

            return compared
        if match := re.search(
            r"(?:How many|Count the) (.+?)(?: are there| do you see| does the picture show)?[?.]", question
        ):
            counted = self.singular[match[1]]
            # Whoever counts them says that there are some.
            return lambda world: str(_count(world, counted) or "") or None
        relation = "to the left of|to the right of|above|below"
        if match := re.search(rf"(?:Is|see|show) the (.+?) ({relation}) the (.+)\?", question):
            subject, holds, other = match[1], match[2], match[3]

            def related(world: World) -> str | None:
                a, b = _the(world, subject), _the(world, other)
                return None if a is None or b is None else ("yes" if _holds(a, holds, b) else "no")

            return related
        if match := re.search(rf"({relation}) the (.+)\?", question):
            holds, other = match[1], match[2]

            def neighbour(world: World) -> str | None:
                b = _the(world, other)
                found = [name for place, name in world.items() if b and _holds(GRID[place], holds, b)]
                return found[0] if len(found) == 1 else None

            return neighbour
        if match := re.match(r"(?:Where|At which place)(?: in the picture)? (?:is|do you see) the (.+)\?", question):
            sought = match[1]
            return lambda world: PLACE_AT.get(_the(world, sought))
        if match := re.search(r"(?:at|in|on) the ((?:top|bottom)?(?: ?(?:left|right))?|center)[?.]", question):
            place = match[1]
            return lambda world: world.get(place)
        if match := re.search(r"(?:there|see|show) an? (.+?)(?: in the picture| anywhere)?\?", question):
            name = match[1]
            return lambda world: "yes" if _count(world, name) else "no"
        raise AssertionError(f"a question that the reader does not know: {question}")

    def read(self, caption: str) -> World:
        """The world that a full caption tells of."""
        world: dict[str, str] = {}
        name = ""
        for part in re.split(r",? and |, ", caption):
            match = re.fullmatch(r"(?:(\w+) (.+) )?(?:at|on|in) the (.+)", part)
            assert match, part
            if match[1]:
                name = match[2] if NUMBERS[match[1]] == 1 else self.singular[match[2]]
            assert match[3] not in world
            world[match[3]] = name
        return world


def _count(world: World, name: str) -> int:
    return sum(1 for other in world.values() if other == name)


def _the(world: World, name: str) -> tuple[int, int] | None:
    places = [place for place, other in world.items() if other == name]
    return GRID[places[0]] if len(places) == 1 else None


def _holds(a: tuple[int, int], relation: str, b: tuple[int, int]) -> bool:
    return {
        "to the left of": a[0] < b[0],
        "to the right of": a[0] > b[0],
        "above": a[1] < b[1],
        "below": a[1] > b[1],
    }[relation]
