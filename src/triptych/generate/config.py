"""What a request for an answer says, what comes back, and who can answer; light to import."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, Protocol, runtime_checkable

from pydantic import Field

from triptych.config import Config
from triptych.conversation import Conversation, Medium, Message, Part, Region, assistant


class GenerationSettings(Config):
    """How answers are decoded."""

    max_new_tokens: int = Field(64, ge=1, description="an answer is cut after this many tokens")
    temperature: float = Field(0.0, ge=0, description="0 is greedy: always the most likely token")
    top_p: float = Field(1.0, gt=0, le=1, description="sample from the smallest set of tokens with this probability")
    top_k: int = Field(0, ge=0, description="sample from this many most likely tokens; 0 is all of them")
    seed: int = Field(0, ge=0, lt=2**63, description="of sampling")
    batch_size: int = Field(16, ge=1, description="conversations answered at once")


@dataclass(frozen=True, init=False)
class Reply:
    """One answer.

    Args:
        parts: What it consists of, in order: text without the template's end token and white space around it, regions, and
            media that decoders made. A text alone may be given as it is.
        tokens: How many tokens were generated.
        finish: `stop` when the model ended its turn, `length` when `max_new_tokens` cut it.
    """

    parts: tuple[Part, ...]
    tokens: int
    finish: Literal["stop", "length"]

    def __init__(self, parts: str | Sequence[Part], tokens: int, finish: Literal["stop", "length"]) -> None:
        # Of a frozen class: attributes are set once, here.
        object.__setattr__(self, "parts", (parts,) if isinstance(parts, str) else tuple(parts))
        object.__setattr__(self, "tokens", tokens)
        object.__setattr__(self, "finish", finish)

    @property
    def message(self) -> Message:
        """The reply as the assistant's message, to continue the conversation with."""
        return assistant(*self.parts)

    @property
    def text(self) -> str:
        """What was said in words: all parts that are text."""
        return self.message.text

    @property
    def regions(self) -> tuple[Region, ...]:
        """The regions among the parts, in order."""
        return self.message.regions

    @property
    def media(self) -> tuple[Medium, ...]:
        """The media among the parts, in order."""
        return self.message.media


@runtime_checkable
class Responder(Protocol):
    """Whatever answers conversations: a loaded model, a remote one, a fake in a test.

    One that opens no medium says so by an attribute `needs_media = False`; see `needs_media`.
    """

    def respond(self, conversations: Sequence[Conversation], settings: GenerationSettings) -> list[Reply]:
        """One reply per conversation, in order. Each conversation ends with a user's message.

        Raises:
            GenerationError: A conversation cannot be answered.
            DataError: A medium cannot be read.
        """
        ...


def needs_media(responder: Responder) -> bool:
    """Whether a responder opens the media of conversations; one that does not say opens them."""
    return bool(getattr(responder, "needs_media", True))
