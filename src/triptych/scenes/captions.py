"""Exact captions of a scene: what is there, and where."""

from __future__ import annotations

from triptych.scenes.compose import Scene


def caption(scene: Scene) -> str:
    """What is there and where: "a dog at the top left and two apples on the left and at the bottom"."""
    places: dict[str, list[str]] = {}
    for item in scene.objects:
        places.setdefault(item.thing.name, []).append(at(item.place))
    groups = [f"{thing.times(count)} {_listed(places[thing.name])}" for thing, count in scene.counts.items()]
    # A list whose items hold an "and" of their own needs a comma before its last "and".
    return _listed(groups, oxford=len(groups) > 2 or any(count > 1 for count in scene.counts.values()))


def name_caption(scene: Scene) -> str:
    """What is there: "a dog, two apples and a cup"."""
    return _listed([thing.times(count) for thing, count in scene.counts.items()])


def sentence(caption: str) -> str:
    """A caption as a sentence: "A dog at the top left."."""
    return f"{caption[0].upper()}{caption[1:]}."


def at(place: str) -> str:
    """A place with its preposition: "at the top left", "on the right", "in the center"."""
    preposition = {"center": "in", "left": "on", "right": "on"}.get(place, "at")
    return f"{preposition} the {place}"


def _listed(items: list[str], *, oxford: bool = False) -> str:
    if len(items) == 1:
        return items[0]
    comma = "," if oxford else ""
    return f"{', '.join(items[:-1])}{comma} and {items[-1]}"
