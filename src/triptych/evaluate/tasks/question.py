"""One thing to ask, and the record of how it was answered."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, fields
from typing import TYPE_CHECKING, Any

from triptych.conversation import Conversation, Medium, Message, Part, user
from triptych.data.reading import read_record
from triptych.errors import DataError

if TYPE_CHECKING:
    from triptych.data.sources import Source

Truth = str | list[str]
"""The true answer, or the reference captions."""


@dataclass(frozen=True)
class Question:
    """A question about one sample's picture.

    Args:
        id: Unique within the task, stable from run to run.
        kind: The kind of question; scores are per kind.
        text: What the user says after the picture.
        truth: The true answer, or the reference captions.
        media: The pictures shown, first in the message.
        sample: Index in the source of the sample that the question belongs to.
        shown: Index of the sample whose picture is shown: another one in the control.
        facts: What scoring needs to know beside the truth: options, groups; plain values that JSON can hold.
        before: Turns that come first: solved examples.
        parts: What the user says where it is more than text (a region in the question), instead of `text`.
    """

    id: str
    kind: str
    text: str
    truth: Truth
    media: tuple[Medium, ...]
    sample: int
    shown: int
    facts: Mapping[str, Any] = field(default_factory=dict)
    before: tuple[Message, ...] = ()
    parts: tuple[Part, ...] = ()

    @property
    def conversation(self) -> Conversation:
        """The question as a conversation of its own: the pictures first, then what is said."""
        options = self.facts.get("options")
        known = {"options": list(options)} if options else {}
        known |= {"letters": self.facts["letters"]} if "letters" in self.facts else {}
        message = user(*self.media, *(self.parts or (self.text,)))
        return Conversation((*self.before, message), id=self.id, annotations=known)


@dataclass(frozen=True)
class Record:
    """A question with its answer, as one line of `evaluation/TASK.jsonl`.

    Args:
        image: `{"dataset": name, "index": i}`: the sample whose picture was shown.
        sample: Index of the sample that the question belongs to; the same as that of the image but in the control.
        answer: The raw text; empty where the question could not be asked.
        parsed: The answer in canonical form; `None` is unparsed.
        reason: Why it is, where the parser can say.
        correct: Whether (or, for captions, how well) it was answered.
        finish: `stop`, `length`, or `failed` with the reason in `error`.
        seconds: This answer's share of the time its batch took.
        facts: Those of the question.
        verdict: What a judge said of the answer, word for word.
        judged: Whose verdict it is and on what: `{judge: name, prompt: hash}`.
        regions: Of grounding, `{truth, found, size}`: the true regions and those of the answer (see `grounding.serial`),
            and width and height of the picture shown.
    """

    id: str
    kind: str
    question: str
    truth: Truth
    answer: str
    finish: str
    tokens: int
    seconds: float
    sample: int
    image: dict[str, Any] = field(default_factory=dict)
    parsed: str | None = None
    correct: bool | float = False
    error: str | None = None
    facts: dict[str, Any] = field(default_factory=dict)
    verdict: str | None = None
    regions: dict[str, Any] | None = None
    judged: dict[str, str] | None = None
    reason: str | None = None

    def to_json(self) -> dict[str, Any]:
        """Plain values; `error`, `facts`, `verdict`, `judged`, `regions` and `reason` only where there are some."""
        values = {each.name: getattr(self, each.name) for each in fields(Record)}
        optional = ("error", "facts", "verdict", "judged", "regions", "reason")
        return {k: v for k, v in values.items() if k not in optional or v}


@dataclass(frozen=True)
class Measured(Record):
    """A record with what it was scored by and no file holds: ranks, scores, features.

    Args:
        values: By name.
    """

    values: Mapping[str, Any] = field(default_factory=dict, repr=False, compare=False)


@dataclass(frozen=True)
class Reading:
    """What a task found in a source.

    Args:
        questions: What to ask; those of one sample side by side.
        media: The pictures of every sample that the control may show, by index.
        faults: Why samples cannot be used, and how many for each reason.
    """

    questions: list[Question]
    media: dict[int, tuple[Medium, ...]]
    faults: Counter[str]


def readable(source: Source, faults: Counter[str]) -> Iterator[tuple[int, Conversation]]:
    """The conversations of a source that can be read, with their indices; why the others cannot is counted in `faults`."""
    for index in range(len(source)):
        try:
            conversation = read_record(source, index)
        except DataError as error:
            faults[str(error)] += 1
            continue
        yield index, conversation
