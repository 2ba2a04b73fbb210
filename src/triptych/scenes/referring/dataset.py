"""Scenes with referring expressions as a dataset of conversations with regions."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from triptych.conversation import Conversation, Image, Message, Region, assistant, user
from triptych.conversation.conversation import Part
from triptych.conversation.expression import DESCRIBE, NONE, Expression
from triptych.conversation.mask import Mask
from triptych.errors import DataError
from triptych.scenes.compose import VERSION, Scene, Settings, compose
from triptych.scenes.dataset import Drawing
from triptych.scenes.draw import Draw
from triptych.scenes.glyphs import Glyphs
from triptych.scenes.referring.config import ReferringConfig, ReferringKind
from triptych.scenes.referring.expressions import Referred, nothing, refer
from triptych.weights import fetch

WHAT = ("What is in ", "?")
"""The question about a region, which stands between the two."""

_PATIENCE = 48
"""Pictures tried for one that has something to say of every kind that was drawn; then the best of them is taken."""

_ATTEMPTS = 1000


@dataclass(frozen=True)
class Turn:
    """A question and its answer; `expressions` are the phrases whose regions are asked for."""

    kind: ReferringKind
    question: tuple[Part, ...]
    answer: tuple[Part, ...]
    expressions: tuple[Expression, ...] = ()


class Referring:
    """Composed pictures with expressions and the regions they refer to. `referring[i]` is a pure function of both.

    The first message shows the picture. The annotations hold `scene` (as in `Scenes`) and, as far as there are some:
    `grounding`, the `Expression` of each turn that asks for regions, in order; `grounded_caption`, the expressions of
    a caption's phrases, in order, and `caption`, its words; `questions`, the turns that are answered in words alone.

    Args:
        config: What a recipe says.

    Raises:
        WeightsError: The font cannot be had.
    """

    def __init__(self, config: ReferringConfig) -> None:
        self.config = config
        font = fetch(config.font)
        self.cast = config.cast()
        self.settings = Settings(self.cast, Glyphs(font), config.split, config.seed, config.objects, config.size)
        # As in `Scenes`: the same settings and index are the same pixels there and here, and share cached features.
        self._pixels = self.settings.key(font)
        self._shares = {kind: share for kind, share in config.kinds.items() if share > 0}

    @classmethod
    def from_config(cls, config: ReferringConfig, base: Path) -> Referring:  # noqa: ARG003 - it has no paths
        """The dataset, drawn on demand."""
        return cls(config)

    def __len__(self) -> int:
        return self.config.count

    def __iter__(self) -> Iterator[Conversation]:
        return (self[i] for i in range(len(self)))

    def scene(self, index: int) -> Scene:
        """The scene of an index, with its drawing, boxes, masks and relations."""
        return self._attempt(range(len(self))[index])[0]

    def __getitem__(self, index: int) -> Conversation:
        index = range(len(self))[index]
        scene, attempt, turns = self._attempt(index)
        config = self.config
        name = f"referring/{config.split}/{config.seed}/{index}"
        key = f"scenes/{VERSION}/{self._pixels}/{config.split}/{config.seed}/{index}/{attempt}"
        picture = Image(Drawing(scene), key=key, name=name, size=(scene.size, scene.size))
        messages: list[Message] = []
        for i, turn in enumerate(turns):
            messages.append(user(*(() if i else (picture,)), *turn.question))
            messages.append(assistant(*turn.answer))
        facts = {
            "scene": scene.facts(),
            "phrases": sorted({item.thing.name for item in scene.objects}),
            "grounding": tuple(e for turn in turns if turn.kind != "caption" for e in turn.expressions),
            "questions": [
                {"kind": turn.kind, "question": _words(turn.question), "answer": _words(turn.answer), "parts": turn.question}
                for turn in turns
                if turn.kind == "what"
            ],
        }  # fmt: skip
        for turn in turns:
            if turn.kind == "caption":
                facts |= {"grounded_caption": turn.expressions, "caption": _words(turn.answer)}
        return Conversation.of(messages, id=name, annotations=facts)

    def _attempt(self, index: int) -> tuple[Scene, int, list[Turn]]:
        """The first scene in an index's stream of which every drawn kind can be said, its number, and the turns."""
        config = self.config
        kinds = self._kinds(Draw("kinds of referring", VERSION, config.split, config.seed, index))
        best: tuple[Scene, int, list[Turn]] | None = None
        for attempt in range(_ATTEMPTS):
            scene = compose(self.settings, index, attempt)
            turns = self._turns(kinds, scene, Draw("referring", VERSION, config.split, config.seed, index, attempt))
            if best is None or len(turns) > len(best[2]):
                best = scene, attempt, turns
            if len(best[2]) == len(kinds) or (best[2] and attempt >= _PATIENCE):
                return best
        raise DataError(
            f"referring {config.split}/{index}: in {_ATTEMPTS} pictures there was nothing to say of the kinds "
            f"{', '.join(sorted(set(kinds)))}; add a kind, or allow more objects"
        )

    def _kinds(self, draw: Draw) -> list[ReferringKind]:
        """The kinds of an index's turns. They are drawn before the picture, so the recipe's shares are kept."""
        drawn = [self._kind(draw) for _ in range(self.config.turns)]
        # A caption tells where everything is, so it is a conversation of its own: the first draw decides on that.
        return ["caption"] if drawn[0] == "caption" else [kind for kind in drawn if kind != "caption"]

    def _kind(self, draw: Draw) -> ReferringKind:
        at = draw.number(0, sum(self._shares.values()))
        for kind, share in self._shares.items():
            at -= share
            if at < 0:
                return kind
        return kind

    def _turns(self, kinds: list[ReferringKind], scene: Scene, draw: Draw) -> list[Turn]:
        """A turn of each kind, as far as there is one about other objects than the turns before it."""
        streams: dict[ReferringKind, Iterator[Referred]] = {}
        turns: list[Turn] = []
        told: set[tuple[int, ...]] = set()
        said: set[str] = set()
        for kind in kinds:
            if kind == "caption":
                turns.append(self._caption(scene))
                continue
            if kind not in streams:
                streams[kind] = self._stream(kind, scene, draw)
            for _, found in zip(range(32), streams[kind], strict=False):
                if found.text not in said and (not found.objects or found.objects not in told):
                    said.add(found.text)
                    told.add(found.objects)
                    turns.append(self._turn(kind, scene, found, draw))
                    break
        return turns

    def _stream(self, kind: ReferringKind, scene: Scene, draw: Draw) -> Iterator[Referred]:
        match kind:
            case "none":
                forms = [kind for kind in self._shares if kind not in ("none", "caption", "what")]
                return nothing(forms, scene, self.cast, draw)
            case "what":
                return _each(scene, draw)
            case _:
                return refer(kind, scene, draw)

    def _turn(self, kind: ReferringKind, scene: Scene, found: Referred, draw: Draw) -> Turn:
        asked = draw.pick(self.config.wordings).format(expression=found.text)
        if not found.objects:
            return Turn(kind, (asked,), (NONE,), (Expression(found.text, (), kind),))
        if kind == "what":  # the region is not named: that would give the answer away
            return Turn(kind, (WHAT[0], self._region(scene, found.objects[0], ""), WHAT[1]), (found.text,))
        things = {scene.objects[i].thing for i in found.objects}
        thing = things.pop()
        name = "things" if things else thing.name if len(found.objects) == 1 else thing.plural
        phrase = found.text if self.config.answer == "phrase" else name
        regions = tuple(self._region(scene, i, phrase) for i in found.objects)
        before = () if self.config.answer == "regions" else (phrase,)
        return Turn(kind, (asked,), (*before, *regions), (Expression(found.text, regions, kind),))

    def _caption(self, scene: Scene) -> Turn:
        """ "a dog" R " and " "two apples" R R: each phrase a part of its own, its regions behind it."""
        parts: list[Part] = []
        expressions = []
        for number, (thing, count) in enumerate(scene.counts.items()):
            if number:
                parts.append(" and " if number == len(scene.counts) - 1 else ", ")
            phrase = thing.times(count)
            members = (i for i, item in enumerate(scene.objects) if item.thing == thing)
            regions = tuple(self._region(scene, i, phrase) for i in members)
            expressions.append(Expression(phrase, regions, "caption"))
            parts += [phrase, *regions]
        return Turn("caption", (DESCRIBE,), tuple(parts), tuple(expressions))

    def _region(self, scene: Scene, index: int, phrase: str) -> Region:
        """The region of an object, named by the phrase that it belongs to."""
        mask = Mask.encode(scene.mask(index)) if self.config.masks else None
        return replace(scene.region(index), name=phrase, mask=mask)


def _each(scene: Scene, draw: Draw) -> Iterator[Referred]:
    """Every object with its bare name, in random order."""
    for i in draw.shuffled(range(len(scene.objects))):
        yield Referred(scene.objects[i].thing.name, (i,))


def _words(parts: tuple[Part, ...]) -> str:
    return "".join(part for part in parts if isinstance(part, str))
