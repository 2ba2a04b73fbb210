"""Conversations: messages whose parts are text and media, and the words to write them with."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal, TypeAlias

from triptych.conversation.image import Image
from triptych.conversation.medium import Medium
from triptych.conversation.region import Region

Role: TypeAlias = Literal["system", "user", "assistant", "document"]
"""Who speaks; a `document` is nobody's turn but text to continue, with media between its words where it has any."""

Part: TypeAlias = str | Medium | Region
"""Text is a plain `str`; every other modality is a subclass of `Medium`. A region is of the picture shown last; in what the
assistant says, the text part right in front of regions is their phrase."""


RESERVED = frozenset({"scene", "episode", "grounding", "grounded_caption"})
"""Keys of annotations under which sources put objects of this package; what a file says under them is not that."""


@dataclass(frozen=True)
class Message:
    """One turn: who speaks, and the parts of what is said, in order.

    Args:
        role: Who speaks.
        parts: Text and media.
        supervised: Whether training predicts the text, where it is one that can be: the assistant's, or a document's.
            What cannot be known (a word that is given here for the first time) is better not supervised.
    """

    role: Role
    parts: tuple[Part, ...]
    supervised: bool = True

    @property
    def text(self) -> str:
        """The text of the message without its media and regions."""
        return "".join(part for part in self.parts if isinstance(part, str))

    @property
    def media(self) -> tuple[Medium, ...]:
        """The media of the message, in order."""
        return tuple(part for part in self.parts if isinstance(part, Medium))

    @property
    def images(self) -> tuple[Image, ...]:
        """The pictures among the media, in order."""
        return tuple(part for part in self.parts if isinstance(part, Image))

    @property
    def regions(self) -> tuple[Region, ...]:
        """The regions of the message, in order."""
        return tuple(part for part in self.parts if isinstance(part, Region))


@dataclass(frozen=True)
class Conversation:
    """Messages in order, with a name for the ledger and whatever is known about them beside the words.

    Args:
        messages: The turns. Training supervises what the assistant says, and the text of documents. Document messages
            that follow each other are one document, and a conversation has either a document or turns.
        id: Unique within its dataset; error messages and the ledger use it.
        annotations: Facts that are not part of the dialogue (boxes, kinds of questions, references, …).
        whole: Whether it loses its sense when its beginning is left out: one that is too long is then always refused.
    """

    messages: tuple[Message, ...]
    id: str = ""
    annotations: Mapping[str, Any] = field(default_factory=dict)
    whole: bool = False

    @property
    def media(self) -> Iterator[Medium]:
        """Every medium of the conversation, in order."""
        for message in self.messages:
            yield from message.media

    @property
    def images(self) -> Iterator[Image]:
        """Every picture of the conversation, in order."""
        for message in self.messages:
            yield from message.images

    def then(self, *messages: Message) -> Conversation:
        """The conversation continued."""
        return replace(self, messages=self.messages + messages)

    @classmethod
    def of(cls, messages: Sequence[Message], **facts: Any) -> Conversation:
        """A conversation from any sequence of messages."""
        return cls(tuple(messages), **facts)


def system(text: str) -> Message:
    """A system message."""
    return Message("system", (text,))


def user(*parts: Part) -> Message:
    """A user's message: `user(Image("cat.png"), "What is this?")`."""
    return Message("user", parts)


def assistant(*parts: Part, supervised: bool = True) -> Message:
    """An assistant's message; `supervised=False` for one that is given rather than learned."""
    return Message("assistant", parts, supervised)


def document(*parts: Part, supervised: bool = True) -> Message:
    """A document, or a stretch of one: text to continue, without roles, media where they stand in it."""
    return Message("document", parts, supervised)
