"""What pointing answers, and who can point; light to import."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal, Protocol, TypeAlias, runtime_checkable

from triptych.conversation import Conversation, Image, Region, user
from triptych.conversation.expression import NONE
from triptych.errors import GenerationError

Verdict: TypeAlias = Literal["valid", "repaired", "invalid", "none"]
"""Of an answer: `valid`: written by the rules; `repaired`: something was wrong, but regions could be told; `invalid`:
something was meant to be a region and none could be told; `none`: an answer without regions. To an expression, that is
"none such", and words that say anything else are `invalid` (`answering`)."""


@dataclass(frozen=True)
class Grounding:
    """Where something is.

    Args:
        regions: In the frame of the picture, with the phrase that each belongs to for a name; none for "none such".
        scores: One per region, in [0, 1]; higher is surer. 1 where the model gives no score.
        text: What the model said.
        verdict: How well it said it.
        reason: Why something that was meant to be a region is none, where that can be said.
    """

    regions: tuple[Region, ...]
    scores: tuple[float, ...] = ()
    text: str = ""
    verdict: Verdict = "valid"
    reason: str = ""

    def __post_init__(self) -> None:
        if not self.scores:
            object.__setattr__(self, "scores", (1.0,) * len(self.regions))
        if len(self.scores) != len(self.regions):
            raise ValueError(f"{len(self.regions)} regions need as many scores, got {len(self.scores)}")

    @property
    def best(self) -> Region | None:
        """The region with the highest score, the first of equal ones; None where there is none."""
        places = range(len(self.regions))
        return self.regions[max(places, key=lambda i: (self.scores[i], -i))] if self.regions else None


def encodable(text: str) -> str:
    """Text that tokenizers and files can hold: halves of characters (lone surrogates) are `?`, whole ones stay."""
    return text.encode("utf-8", "replace").decode()


def words_of(expression: str) -> str:
    """What is asked for, fit to be asked.

    Raises:
        GenerationError: It has no words.
    """
    if not expression.strip():
        raise GenerationError(f"the expression {expression!r} has no words; say what to look for")
    return encodable(expression)


def request(prompt: Sequence[str], image: Image, expression: str) -> Conversation:
    """The question for an expression in a picture.

    Args:
        prompt: Parts of what is said, of which one holds `{expression}`; tokens among them stay tokens.
        image: The picture.
        expression: What to find.

    Raises:
        GenerationError: The expression has no words.
    """
    words = words_of(expression)
    said = [part.format(expression=words) if type(part) is str else part for part in prompt]
    return Conversation((user(image, *said),))


def says_none(words: str) -> bool:
    """Whether words are the answer that there is none such."""
    return words.strip(" .\n").lower() == NONE


def answering(grounding: Grounding) -> Grounding:
    """What a model said, as the answer to an expression: without a region it answers only if it says that there is none."""
    if grounding.verdict == "none" and not says_none(grounding.text):
        return replace(grounding, verdict="invalid")
    return grounding


@runtime_checkable
class Grounder(Protocol):
    """Whatever finds regions of a picture by an expression: a model that writes them, one that decodes them, a detector."""

    @property
    def prompt(self) -> str:
        """What it says around an expression, which stands in it as `{expression}`."""
        ...

    def ground(self, image: Image, expression: str) -> Grounding:
        """Where in a picture the expression's things are.

        Raises:
            DataError: The picture cannot be read.
            GenerationError: It cannot be answered.
        """
        ...

    def ground_many(self, pairs: Sequence[tuple[Image, str]]) -> list[Grounding]:
        """The same of many pictures with an expression each, in order; faster than one by one."""
        ...


@runtime_checkable
class Describer(Protocol):
    """A grounder that can say in words what a picture shows, too, each phrase with its regions."""

    @property
    def caption_prompt(self) -> str:
        """What it says to have a picture described."""
        ...

    def describe_many(self, images: Sequence[Image]) -> list[Grounding]:
        """A grounded caption of each picture: `text` is the caption, the regions are named by their phrases.

        Raises:
            DataError: A picture cannot be read.
            GenerationError: It cannot be described.
        """
        ...
