"""Referring expressions of a scene: words that fit exactly the objects they are given with, or nothing at all.

Rows and columns of the nine places decide what is above, left or leftmost, as in the questions (see `Scene.relations`). Every
maker is a stream of what can be said in random order; `nothing` says the same forms of what is not there, so that only
the picture tells the two apart.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeAlias

from triptych.scenes.captions import at
from triptych.scenes.compose import PLACES, Scene
from triptych.scenes.draw import Draw
from triptych.scenes.pairs import Cast
from triptych.scenes.referring.config import ReferringKind
from triptych.scenes.templates import RELATION_WORDS
from triptych.scenes.things import COUNT_WORDS, Thing

ORDINALS = ("first", "second", "third")
SIDES = ("left", "right", "top", "bottom")
EXTREMES = {"left": "leftmost", "right": "rightmost", "top": "topmost", "bottom": "lowest"}


@dataclass(frozen=True)
class Referred:
    """Words, and the indices of the objects that they fit, in reading order."""

    text: str
    objects: tuple[int, ...]


Maker: TypeAlias = Callable[[Scene, Draw], Iterator[Referred]]


def refer(kind: ReferringKind, scene: Scene, draw: Draw) -> Iterator[Referred]:
    """Everything of a kind (`name`, `place`, `relation`, `order`, `all`) that can be said of a scene, in random order."""
    return _MAKERS[kind](scene, draw)


def nothing(forms: Sequence[ReferringKind], scene: Scene, cast: Cast, draw: Draw) -> Iterator[Referred]:
    """Expressions of these kinds that fit nothing in the scene; of a kind without any, a thing that is not there."""
    while True:
        maker = _NOTHING.get(draw.pick(forms), _no_name) if forms else _no_name
        text = maker(scene, cast, draw) or _no_name(scene, cast, draw)
        if text is None:
            return
        yield Referred(text, ())


def _name(scene: Scene, draw: Draw) -> Iterator[Referred]:
    for i in draw.shuffled(range(len(scene.objects))):
        thing = scene.objects[i].thing
        if scene.counts[thing] == 1:
            yield Referred(f"the {thing.name}", (i,))


def _place(scene: Scene, draw: Draw) -> Iterator[Referred]:
    found = []
    for i, item in enumerate(scene.objects):
        found.append(Referred(f"the thing {at(item.place)}", (i,)))
        if scene.counts[item.thing] > 1:
            found.append(Referred(f"the {item.thing.name} {at(item.place)}", (i,)))
    for name, members in _classes(scene):
        for side in SIDES:
            order = _lines(scene, members, side)
            if len(members) > 1 and len(order[0]) == 1:
                found.append(Referred(f"the {EXTREMES[side]} {name}", tuple(order[0])))
    yield from draw.shuffled(found)


def _relation(scene: Scene, draw: Draw) -> Iterator[Referred]:
    found = []
    for (relation, j), subjects in _related(scene).items():
        behind = f"{RELATION_WORDS[relation]} the {scene.objects[j].thing.name}"
        if len(subjects) == 1:
            found.append(Referred(f"the thing {behind}", (subjects[0],)))
        for i in subjects:
            alike = [k for k in subjects if scene.objects[k].thing == scene.objects[i].thing]
            if len(alike) == 1:
                found.append(Referred(f"the {scene.objects[i].thing.name} {behind}", (i,)))
    yield from draw.shuffled(found)


def _order(scene: Scene, draw: Draw) -> Iterator[Referred]:
    found = []
    for name, members in _classes(scene):
        for side in SIDES:
            lines = _lines(scene, members, side)
            if len(members) > 1 and all(len(line) == 1 for line in lines):
                for ordinal, line in zip(ORDINALS, lines, strict=False):
                    found.append(Referred(f"the {ordinal} {name} from the {side}", tuple(line)))
    yield from draw.shuffled(found)


def _all(scene: Scene, draw: Draw) -> Iterator[Referred]:
    found = []
    for thing, count in scene.counts.items():
        members = tuple(i for i, item in enumerate(scene.objects) if item.thing == thing)
        found.append(Referred(f"all {thing.plural}", members))
        if count > 1:  # as often as the same words for one: several are what this kind is for
            found.append(Referred(f"the {COUNT_WORDS[count]} {thing.plural}", members))
    for (relation, j), subjects in _related(scene).items():
        if len(subjects) > 1:
            behind = f"{RELATION_WORDS[relation]} the {scene.objects[j].thing.name}"
            found.append(Referred(f"all things {behind}", tuple(subjects)))
    several = [each for each in found if len(each.objects) > 1]
    single = [each for each in found if len(each.objects) == 1]
    yield from draw.shuffled(several if several and draw.chance(0.75) else single or several)


_MAKERS: Mapping[ReferringKind, Maker] = {
    "name": _name,
    "place": _place,
    "relation": _relation,
    "order": _order,
    "all": _all,
}


def _no_name(scene: Scene, cast: Cast, draw: Draw) -> str | None:
    absent = _absent(scene, cast, draw)
    return f"the {absent.name}" if absent else None


def _no_all(scene: Scene, cast: Cast, draw: Draw) -> str | None:
    absent = _absent(scene, cast, draw)
    return f"all {absent.plural}" if absent else None


def _no_place(scene: Scene, _: Cast, draw: Draw) -> str | None:
    taken = {item.place: item.thing for item in scene.objects}
    if draw.chance(0.5):
        empty = [place for place in PLACES if place not in taken]
        return f"the thing {at(draw.pick(empty))}" if empty else None
    thing = draw.pick(list(scene.counts))
    without = [place for place in PLACES if taken.get(place) != thing]
    return f"the {thing.name} {at(draw.pick(without))}" if without else None


def _no_relation(scene: Scene, _: Cast, draw: Draw) -> str | None:
    related = _related(scene)
    for j in draw.shuffled(range(len(scene.objects))):
        other = scene.objects[j].thing
        if scene.counts[other] > 1:
            continue
        for relation in draw.shuffled(RELATION_WORDS):
            subjects = related.get((relation, j), [])
            names = {scene.objects[i].thing for i in subjects}
            missing = [thing.name for thing in scene.counts if thing not in names and thing != other]
            missing += [] if subjects else ["thing"]
            if missing:
                return f"the {draw.pick(missing)} {RELATION_WORDS[relation]} the {other.name}"
    return None


def _no_order(scene: Scene, _: Cast, draw: Draw) -> str | None:
    for thing in draw.shuffled(scene.counts):
        if scene.counts[thing] < len(ORDINALS):
            return f"the {ORDINALS[scene.counts[thing]]} {thing.name} from the {draw.pick(SIDES)}"
    return None


_NOTHING: Mapping[ReferringKind, Callable[[Scene, Cast, Draw], str | None]] = {
    "name": _no_name,
    "place": _no_place,
    "relation": _no_relation,
    "order": _no_order,
    "all": _no_all,
}


def _absent(scene: Scene, cast: Cast, draw: Draw) -> Thing | None:
    """A thing that is not there and could be; half of the time one of the same group as something that is."""
    absent = cast.beside(scene.counts)
    groups = {thing.group for thing in scene.counts}
    alike = [thing for thing in absent if thing.group in groups]
    pool = alike if alike and draw.chance(0.5) else absent
    return draw.pick(pool) if pool else None


def _classes(scene: Scene) -> list[tuple[str, list[int]]]:
    """Everything as "thing", and every name, with the objects of each."""
    members = [(thing.name, [i for i, o in enumerate(scene.objects) if o.thing == thing]) for thing in scene.counts]
    return [("thing", list(range(len(scene.objects)))), *members]


def _lines(scene: Scene, members: Sequence[int], side: str) -> list[list[int]]:
    """The objects in groups of one column (one row), the nearest to a side first."""
    across = side in ("left", "right")
    places = {i: scene.objects[i].column if across else scene.objects[i].row for i in members}
    order = sorted(set(places.values()), reverse=side in ("right", "bottom"))
    return [[i for i in members if places[i] == place] for place in order]


def _related(scene: Scene) -> dict[tuple[str, int], list[int]]:
    """Relation and index of an object that is the only one of its name → what stands in that relation to it."""
    found: dict[tuple[str, int], list[int]] = {}
    for i, relation, j in scene.relations:
        if scene.counts[scene.objects[j].thing] == 1:
            found.setdefault((relation, j), []).append(i)
    return found
