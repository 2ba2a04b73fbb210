"""How regions become part of what is said: the interface between chat templates and whoever writes regions."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Protocol, runtime_checkable

from triptych.conversation.conversation import Conversation, Message, Part
from triptych.conversation.medium import Medium
from triptych.conversation.region import Region


class Token(str):
    """The name of one token of the vocabulary, in what is otherwise text: it cannot be had by writing its name.

    Args:
        name: As the tokenizer knows it.
        region: The region that the token stands for, where its numbers are not in the text itself.
    """

    region: Region | None

    def __new__(cls, name: str, region: Region | None = None) -> Token:
        """As `str`."""
        token = super().__new__(cls, name)
        token.region = region
        return token


def spoken(text: str, tokens: Sequence[str]) -> tuple[str, ...]:
    """Text as parts in which the names of tokens are these tokens: what a model wrote, or a recipe, never what a user types."""
    if not tokens:
        return (text,)
    names = "|".join(re.escape(token) for token in sorted(tokens, key=len, reverse=True))
    pieces = re.split(f"({names})", text)
    return tuple(Token(piece) if place % 2 else piece for place, piece in enumerate(pieces) if piece)


class RegionWriter(Protocol):
    """Writes the regions of messages."""

    @property
    def tokens(self) -> tuple[str, ...]:
        """The names of the tokens that it writes, to be added where the tokenizer has not got them."""
        ...

    def write(self, parts: Sequence[Part], answer: bool) -> list[str | Token | Medium]:
        """The parts of a message without regions: text and tokens in their place.

        Args:
            parts: As they stand in the message.
            answer: Whether it is the assistant's (or a document): there the words in front of regions are their phrase.

        Raises:
            ValueError: A region cannot be written.
        """
        ...


@runtime_checkable
class Unfolder(Protocol):
    """A writer of regions for whom an answer with regions is several turns, not one."""

    def unfold(self, conversation: Conversation) -> Conversation:
        """The conversation with such answers unfolded; whatever it does not concern stays as it is."""
        ...

    def continues(self, message: Message) -> bool:
        """Whether the user's message behind this one belongs to the same turn: it is no question, but what was found."""
        ...
