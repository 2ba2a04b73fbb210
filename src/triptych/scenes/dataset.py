"""Scenes as a dataset of conversations."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from triptych.conversation import Conversation, Image, assistant, document, user
from triptych.errors import DataError
from triptych.scenes import templates
from triptych.scenes.captions import caption, name_caption, sentence
from triptych.scenes.compose import VERSION, Scene, Settings, compose
from triptych.scenes.config import ScenesConfig
from triptych.scenes.draw import Draw
from triptych.scenes.glyphs import Glyphs
from triptych.scenes.questions import ask
from triptych.weights import fetch

if TYPE_CHECKING:
    from PIL.Image import Image as PILImage

_ATTEMPTS = 1000


@dataclass(frozen=True)
class Drawing:
    """Draws a scene when called: the source of its picture, small enough to be sent between processes."""

    scene: Scene

    def __call__(self) -> PILImage:
        """The picture, RGB."""
        return self.scene.draw()


class Scenes:
    """A dataset of composed pictures. `scenes[i]` is a pure function of the configuration and `i`.

    The first message shows the picture. The annotations are plain values: `scene` (its size, background, objects with
    name, group, place and box in pixels, relations and captions) and `questions` (kind, question and answer of each
    of the assistant's turns, in order).

    Args:
        config: What a recipe says.

    Raises:
        WeightsError: The font cannot be had.
    """

    def __init__(self, config: ScenesConfig) -> None:
        self.config = config
        font = fetch(config.font)
        self.cast = config.cast()
        self.settings = Settings(self.cast, Glyphs(font), config.split, config.seed, config.objects, config.size)
        # The key names pixels, so it depends on what decides pixels and on nothing else: features cached for one
        # style of questions serve every other.
        self._pixels = self.settings.key(font)

    @classmethod
    def from_config(cls, config: ScenesConfig, base: Path) -> Scenes:  # noqa: ARG003 - it has no paths
        """The dataset, drawn on demand."""
        return cls(config)

    def __len__(self) -> int:
        return self.config.count

    def __iter__(self) -> Iterator[Conversation]:
        return (self[i] for i in range(len(self)))

    def scene(self, index: int) -> Scene:
        """The scene of an index, with its drawing, boxes, masks and relations."""
        return self._attempt(index)[0]

    def __getitem__(self, index: int) -> Conversation:
        scene, attempt, turns = self._attempt(index)
        index = range(len(self))[index]
        config = self.config
        name = f"scenes/{config.split}/{config.seed}/{index}"
        key = f"scenes/{VERSION}/{self._pixels}/{config.split}/{config.seed}/{index}/{attempt}"
        picture = Image(Drawing(scene), key=key, name=name, size=(scene.size, scene.size))
        messages = []
        if config.style in ("document", "text"):
            said = turns[0]["answer"]
            messages = [document(said) if config.style == "text" else document(picture, f" {said}")]
        else:
            for i, turn in enumerate(turns):
                messages += [user(picture, turn["question"]) if i == 0 else user(turn["question"])]
                messages += [assistant(turn["answer"])]
        facts = scene.facts() | {"captions": {"full": caption(scene), "names": name_caption(scene)}}
        names = sorted({thing.thing.name for thing in scene.objects})
        return Conversation.of(messages, id=name, annotations={"scene": facts, "questions": turns, "phrases": names})

    def _attempt(self, index: int) -> tuple[Scene, int, list[dict[str, str]]]:
        """The first scene in an index's stream that something can be asked of, its number, and the turns."""
        index = range(len(self))[index]
        for attempt in range(_ATTEMPTS):
            scene = compose(self.settings, index, attempt)
            if turns := self._turns(scene, index, attempt):
                return scene, attempt, turns
        raise DataError(
            f"scenes {self.config.split}/{index}: in {_ATTEMPTS} pictures there was nothing to ask of the kinds "
            f"{', '.join(self.config.kinds)}; add a kind, or allow more objects"
        )

    def _turns(self, scene: Scene, index: int, attempt: int) -> list[dict[str, str]]:
        config = self.config
        draw = Draw("turns", VERSION, config.split, config.seed, index, attempt)
        if config.style in ("document", "text"):
            return [_turn("caption", "", sentence(caption(scene)))]
        if config.style == "caption" or (config.style == "mixed" and draw.chance(0.5)):
            if config.captions == "full" or (config.captions == "both" and draw.chance(0.5)):
                return [_turn("caption", draw.pick(templates.CAPTION), caption(scene))]
            return [_turn("names", draw.pick(templates.NAMES), name_caption(scene))]
        asked = ask(scene, self.cast, config.kinds, config.questions, draw, hints=config.hints)
        return [_turn(question.kind, question.text, question.answer) for question in asked]


def _turn(kind: str, question: str, answer: str) -> dict[str, str]:
    return {"kind": kind, "question": question, "answer": answer}
