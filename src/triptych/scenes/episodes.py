"""Few-shot episodes: what a made-up word names can only be told by the pictures that were named before.

    picture of a dog: "dovax" · picture of a cup: "mibug" · another picture of a cup: ?        (2 ways, 2 shots)

Words and things are paired anew in every episode, so nothing about a word can be remembered from another. The support
comes in rounds that name each thing once, in random order; which of them is asked about is drawn apart. Only what can be
known is supervised: a word from its second picture on.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal, TypeVar

from triptych.conversation import Conversation, Image, Message, Part, assistant, document, user
from triptych.scenes.compose import VERSION, Settings, arrange
from triptych.scenes.config import EpisodesConfig
from triptych.scenes.dataset import Drawing
from triptych.scenes.draw import Draw
from triptych.scenes.glyphs import Glyphs
from triptych.scenes.pairs import Cast, held_out
from triptych.scenes.things import Thing
from triptych.scenes.words import made_up
from triptych.weights import fetch
from triptych.weights.cache import file_sha256

T = TypeVar("T")

Form = Literal["turns", "message", "document"]

ASK = "What is this?"
SAY = " This is a"


@dataclass(frozen=True)
class Shot:
    """A picture with the word for what it shows."""

    picture: Image
    word: str


@dataclass(frozen=True)
class Episode:
    """Named pictures, and one to name.

    Args:
        words: The episode's words, one for each of its things.
        support: The named pictures, in order.
        query: The picture that is asked about, and the true word.
        form: How it is written; see `EpisodesConfig`.
        choices: Whether the question offers the words.
    """

    words: tuple[str, ...]
    support: tuple[Shot, ...]
    query: Shot
    form: Form = "turns"
    choices: bool = False

    @property
    def question(self) -> str:
        """What is asked about each picture."""
        *first, last = (f"a {word}" for word in self.words)
        return f"Is this {', '.join(first)} or {last}?" if self.choices else ASK

    @property
    def media(self) -> tuple[Image, ...]:
        """Every picture in order, the one asked about last."""
        return (*(shot.picture for shot in self.support), self.query.picture)

    def first(self, shots: int) -> Episode:
        """The same question after the first so many named pictures alone."""
        return replace(self, support=self.support[:shots])

    def shifted(self) -> Episode:
        """The same words in the same order, each beside pictures of the thing that another word names.

        The pictures of one word go to the next one (of the words in the support, in a circle), so every label is wrong.
        """
        named = list(dict.fromkeys(shot.word for shot in self.support))
        before = {word: named[i - 1] for i, word in enumerate(named)}
        pictures = {word: [shot.picture for shot in self.support if shot.word == word] for word in named}
        taken = dict.fromkeys(named, 0)
        support = []
        for shot in self.support:
            source = before[shot.word]
            support.append(Shot(pictures[source][taken[source] % len(pictures[source])], shot.word))
            taken[source] += 1
        return replace(self, support=tuple(support))

    def with_pictures_of(self, other: Episode) -> Episode:
        """The same words beside the pictures that another episode's support shows (as many, in a circle if it has less)."""
        pictures = [shot.picture for shot in other.support]
        support = (Shot(pictures[i % len(pictures)], shot.word) for i, shot in enumerate(self.support))
        return replace(self, support=tuple(support))

    def messages(self) -> tuple[Message, ...]:
        """The episode with its answer. Supervised is what can be known: a word that a picture before had, too."""
        match self.form:
            case "turns":
                turns = [*self._turns(), user(self.query.picture, self.question)]
                return (*turns, assistant(self.query.word, supervised=self._known(len(self.support))))
            case "message":
                known = self._known(len(self.support))
                return (self._one_message(), assistant(self.query.word, supervised=known))
            case "document":
                shots = enumerate((*self.support, self.query))
                return tuple(message for i, shot in shots for message in self._sentence(shot, self._known(i)))

    def prompt(self) -> tuple[Message, ...]:
        """The episode up to where the answer begins."""
        match self.form:
            case "turns":
                return (*self._turns(), user(self.query.picture, self.question))
            case "message":
                return (self._one_message(),)
            case "document":
                sentences = (message for shot in self.support for message in self._sentence(shot, True))
                return (*sentences, document(self.query.picture, SAY))

    def _known(self, place: int) -> bool:
        """Whether the word of the shot at this place (the query behind the last) is told by the shots before it."""
        word = (*self.support, self.query)[place].word
        return any(shot.word == word for shot in self.support[:place])

    def _turns(self) -> Iterator[Message]:
        for i, shot in enumerate(self.support):
            yield user(shot.picture, self.question)
            yield assistant(shot.word, supervised=self._known(i))

    def _one_message(self) -> Message:
        parts: list[Part] = []
        for shot in self.support:
            parts += [shot.picture, f"{SAY} {shot.word}.\n"]
        return user(*parts, self.query.picture, f" {self.question}")

    def _sentence(self, shot: Shot, known: bool) -> Iterator[Message]:
        yield document(shot.picture, SAY)
        yield document(f" {shot.word}", supervised=known)
        yield document(".")


class Episodes:
    """A dataset of episodes. `episodes[i]` is a pure function of the configuration and `i`.

    The annotations hold the `Episode` itself as `episode`, and as `asked_about` the place of its last picture.

    Args:
        config: What a recipe says.

    Raises:
        WeightsError: The font cannot be had.
    """

    def __init__(self, config: EpisodesConfig) -> None:
        self.config = config
        font = fetch(config.font)
        self.things = config.cast()
        self.words = made_up(config.split)
        self._strangers = config.strangers() if config.distractors else ()
        self._settings = Settings(Cast(self.things), Glyphs(font), config.split, config.seed, size=config.size)
        beside = [config.distractors, [thing.name for thing in self._strangers]] if config.distractors else []
        self._pixels = hashlib.sha256(repr([config.size, file_sha256(font), beside]).encode()).hexdigest()[:16]

    @classmethod
    def from_config(cls, config: EpisodesConfig, base: Path) -> Episodes:  # noqa: ARG003 - it has no paths
        """The dataset, drawn on demand."""
        return cls(config)

    def __len__(self) -> int:
        return self.config.count

    def __iter__(self) -> Iterator[Conversation]:
        return (self[i] for i in range(len(self)))

    def __getitem__(self, index: int) -> Conversation:
        index = range(len(self))[index]
        episode = self.episode(index)
        name = f"episodes/{self.config.split}/{self.config.seed}/{index}"
        facts = {"episode": episode, "asked_about": len(episode.support)}
        return Conversation(episode.messages(), id=name, annotations=facts, whole=True)

    def episode(self, index: int) -> Episode:
        """The episode of an index."""
        config = self.config
        draw = Draw("episodes", VERSION, config.split, config.seed, range(len(self))[index])
        shots = draw.pick(config.shots)
        things = draw.shuffled(self.things)[: config.ways]
        words = _distinct(draw, self.words, config.ways)
        named = list(zip(things, words, strict=True))
        support = [pair for _ in range(-(-shots // config.ways)) for pair in draw.shuffled(named)][:shots]
        query = draw.pick(named)
        numbers = {thing: iter(_distinct(draw, range(config.pictures), config.most_of_one)) for thing in things}
        pictured = [Shot(self.picture(thing, next(numbers[thing])), word) for thing, word in [*support, query]]
        return Episode(tuple(words), tuple(pictured[:-1]), pictured[-1], config.form, config.choices)

    def picture(self, thing: Thing, number: int) -> Image:
        """One of the pictures of a thing."""
        name = f"episodes/{self.config.split}/{self.config.seed}/{thing.name}/{number}"
        draw = Draw("pictures of episodes", VERSION, self.config.split, self.config.seed, thing.name, number)
        beside: list[Thing] = []
        for _ in range(self.config.distractors):
            present = (thing, *beside)
            free = [
                s for s in self._strangers if s not in beside and not any(held_out(s.name, p.name) for p in present)
            ]
            beside += [draw.pick(free)] if free else []
        scene = arrange(draw, self._settings, [thing, *beside])
        return Image(Drawing(scene), f"{VERSION}/{self._pixels}/{name}", name, (scene.size, scene.size))


def _distinct(draw: Draw, items: Sequence[T], count: int) -> list[T]:
    """So many of the items, no two the same; there must be that many."""
    found: list[T] = []
    while len(found) < count:
        if (item := draw.pick(items)) not in found:
            found.append(item)
    return found
