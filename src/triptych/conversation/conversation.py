"""Conversations: messages whose parts are text and media, and the words to write them with."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal, TypeAlias

from triptych.conversation.image import Image

Role: TypeAlias = Literal["system", "user", "assistant"]
Part: TypeAlias = str | Image
"""Text is a plain `str`; every other modality is a class of its own."""


@dataclass(frozen=True)
class Message:
    """One turn: who speaks, and the parts of what is said, in order."""

    role: Role
    parts: tuple[Part, ...]

    @property
    def text(self) -> str:
        """The text of the message without its media."""
        return "".join(part for part in self.parts if isinstance(part, str))

    @property
    def media(self) -> tuple[Image, ...]:
        """The media of the message, in order."""
        return tuple(part for part in self.parts if not isinstance(part, str))


@dataclass(frozen=True)
class Conversation:
    """Messages in order, with a name for the ledger and whatever is known about them beside the words.

    Args:
        messages: The turns. Training supervises what the assistant says.
        id: Unique within its dataset; error messages and the ledger use it.
        annotations: Facts that are not part of the dialogue (boxes, kinds of questions, references, …).
    """

    messages: tuple[Message, ...]
    id: str = ""
    annotations: Mapping[str, Any] = field(default_factory=dict)

    @property
    def media(self) -> Iterator[Image]:
        """Every medium of the conversation, in order."""
        for message in self.messages:
            yield from message.media

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


def assistant(*parts: Part) -> Message:
    """An assistant's message."""
    return Message("assistant", parts)
