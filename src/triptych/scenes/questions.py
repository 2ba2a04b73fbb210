"""Questions about a scene, with exact answers that neither their wording nor earlier turns give away.

- *existence*: half of the answers are "yes". The absent thing asked for is one that could have been there; half of
  the time it is of the same group as something that is.
- *naming*, *place*, *counting*: things, places and counts are uniform (see `compose` for how counts can be).
- *comparison*, *relation*: the same two things are asked about in one order or the other, at even odds.

Turns of one conversation know of each other. "Where is the dog?" says that there is a dog, and that there is one: after
it, "Is there a dog?" could be answered without looking, and "What is at the top?" guessed. So each question says which
facts it `tells`, and which it `needs` to be still unknown; a question is asked only if some order respects all needs.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import TypeAlias

from triptych.scenes import templates
from triptych.scenes.captions import at
from triptych.scenes.compose import OPPOSITE, Scene
from triptych.scenes.config import Kind
from triptych.scenes.draw import Draw
from triptych.scenes.pairs import Cast
from triptych.scenes.things import Thing

Fact: TypeAlias = tuple[str, Thing]
"""What a turn lets one know about a thing: its "presence", its "place", its "count", where it is "across" or "down"."""


@dataclass(frozen=True)
class Question:
    """A question, its exact answer, and its part in a conversation.

    Args:
        kind: What it asks for.
        text: The question.
        answer: The exact answer: a name, a place, a number in digits, "yes" or "no".
        tells: The facts that question and answer give away.
        needs: The facts that earlier turns must not have given away.
    """

    kind: Kind
    text: str
    answer: str
    tells: frozenset[Fact] = frozenset()
    needs: frozenset[Fact] = frozenset()


def ask(
    scene: Scene, cast: Cast, kinds: Iterable[Kind], count: int, draw: Draw, *, hints: bool = False
) -> list[Question]:
    """Up to `count` questions, the kinds taking turns, in an order in which none is given away by those before it.

    Fewer where the scene has no more that qualify; none where none of the kinds does.

    Args:
        hints: Whether to ask, too, what other kinds of questions give away (never the same fact twice in one kind).
            Then as few as possible, not none, come after a turn that tells what they need.
    """
    # Counting chooses first: were it left out whenever another question told a count, large counts would be rare.
    first = sorted(draw.shuffled(kinds)[:count], key=lambda kind: kind != "counting")
    later = [kind for kind in kinds if kind not in first]
    waiting = [_MAKERS[kind](scene, cast, draw) for kind in [*first, *draw.shuffled(later)]]
    found: list[Question] = []
    while waiting and len(found) < count:
        going = []
        for candidates in waiting:
            for question in candidates:
                asked = [other for other in found if other.kind == question.kind] if hints else found
                if _ordered([*asked, question]) is not None:
                    found.append(question)
                    going.append(candidates)
                    break
            if len(found) == count:
                break
        waiting = going
    order = _ordered(draw.shuffled(found), hints=hints)
    assert order is not None, "every question was taken because an order exists"
    return order


def _ordered(questions: list[Question], *, hints: bool = False) -> list[Question] | None:
    """The same questions, each before those that tell what it needs; otherwise as given. None if no order will do.

    With `hints`, where no order will do, the first of those left goes first.
    """
    left, out = list(questions), []
    while left:
        free = (q for q in left if not any(other.needs & q.tells for other in left if other is not q))
        question = next(free, left[0] if hints else None)
        if question is None:
            return None
        left.remove(question)
        out.append(question)
    return out


def _facts(names: Iterable[str], things: Iterable[Thing]) -> frozenset[Fact]:
    return frozenset((name, thing) for thing in things for name in names)


def _existence(scene: Scene, cast: Cast, draw: Draw) -> Iterator[Question]:
    absent = cast.beside(scene.counts)
    for present in draw.shuffled(scene.counts):
        alike = [thing for thing in absent if thing.group == present.group]
        pool = alike if alike and draw.chance(0.5) else absent
        if not pool:
            return  # nothing to answer "no" to, so nothing may be answered "yes"
        stranger, yes = draw.pick(pool), draw.chance(0.5)
        # A "no" takes its turn as if it had asked for the present thing: else late turns would tend to "no".
        facts = _facts(["presence"], [present] if yes else [present, stranger])
        text = draw.pick(templates.EXISTENCE).format(a=present.a if yes else stranger.a)
        yield Question("existence", text, "yes" if yes else "no", facts, facts)


def _naming(scene: Scene, _: Cast, draw: Draw) -> Iterator[Question]:
    for item in draw.shuffled(scene.objects):
        text = draw.pick(templates.NAMING).format(at=at(item.place))
        tells = _facts(["presence", "place", "across", "down"], [item.thing])
        yield Question("naming", text, item.thing.name, tells, _facts(["presence", "place"], [item.thing]))


def _place(scene: Scene, _: Cast, draw: Draw) -> Iterator[Question]:
    for item in draw.shuffled(scene.objects):
        if scene.counts[item.thing] == 1:
            text = draw.pick(templates.PLACE).format(the=f"the {item.thing.name}")
            tells = _facts(["presence", "count", "place", "across", "down"], [item.thing])
            yield Question("place", text, item.place, tells, _facts(["place"], [item.thing]))


def _counting(scene: Scene, _: Cast, draw: Draw) -> Iterator[Question]:
    others = draw.shuffled(scene.counts)
    # Each thing that is known to be there leaves less room for the counted, or for fewer objects than that.
    if scene.focus is None:
        needs = _facts(["presence"], others[1:])
        yield Question("counting", draw.pick(templates.TOTAL), str(len(scene.objects)), needs=needs)
    else:
        focus = scene.focus
        others.remove(focus)
        needs = _facts(["presence"], others) | _facts(["count"], [focus])
        text = draw.pick(templates.COUNTING).format(many=focus.plural)
        yield Question("counting", text, str(scene.counts[focus]), _facts(["presence", "count"], [focus]), needs)


def _comparison(scene: Scene, cast: Cast, draw: Draw) -> Iterator[Question]:
    counts = scene.counts
    pairs = [(a, b) for a in counts for b in counts if counts[a] > counts[b]]
    absent = cast.beside(counts)
    strangers = [(thing, draw.pick(absent)) for thing in counts] if absent else []
    for larger, smaller in [*draw.shuffled(pairs), *draw.shuffled(strangers)]:
        first, second = (larger, smaller) if draw.chance(0.5) else (smaller, larger)
        more = draw.chance(0.5)
        text = draw.pick(templates.COMPARISON).format(
            more="more" if more else "fewer", many=first.plural, others=second.plural
        )
        # Whoever knows that one of the two is there would guess that it is the larger.
        tells = _facts(["presence", "count"], [larger, smaller])
        needs = _facts(["presence"], [larger, smaller])
        yield Question("comparison", text, "yes" if (first is larger) == more else "no", tells, needs)


def _relation(scene: Scene, _: Cast, draw: Draw) -> Iterator[Question]:
    single = {i for i, item in enumerate(scene.objects) if scene.counts[item.thing] == 1}
    for i, relation, j in draw.shuffled(scene.relations):
        if j not in single:
            continue
        subject, other = scene.objects[i].thing, scene.objects[j].thing
        axis = "across" if relation in ("left of", "right of") else "down"
        only = sum(1 for _, r, k in scene.relations if k == j and r == relation) == 1
        if only and draw.chance(0.4):
            text = draw.pick(templates.NEIGHBOUR).format(
                the=f"the {other.name}", relation=templates.RELATION_WORDS[relation]
            )
            tells = _facts(["presence", axis], [subject, other]) | _facts(["count"], [other])
            needs = _facts(["presence"], [subject]) | _facts([axis], [subject, other])
            yield Question("relation", text, subject.name, tells, needs)
        elif i in single:
            yes = draw.chance(0.5)
            text = draw.pick(templates.RELATION).format(
                the=f"the {subject.name}",
                relation=templates.RELATION_WORDS[relation if yes else OPPOSITE[relation]],
                other=f"the {other.name}",
            )
            tells = _facts(["presence", "count", axis], [subject, other])
            yield Question("relation", text, "yes" if yes else "no", tells, _facts([axis], [subject, other]))


_MAKERS: Mapping[Kind, Callable[[Scene, Cast, Draw], Iterator[Question]]] = {
    "existence": _existence,
    "naming": _naming,
    "place": _place,
    "counting": _counting,
    "comparison": _comparison,
    "relation": _relation,
}
