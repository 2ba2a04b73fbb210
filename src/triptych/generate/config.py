"""What a request for an answer says, what comes back, and who can answer; light to import."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, Protocol, runtime_checkable

from pydantic import Field

from triptych.config import Config
from triptych.conversation import Conversation


class GenerationSettings(Config):
    """How answers are decoded."""

    max_new_tokens: int = Field(64, ge=1, description="an answer is cut after this many tokens")
    temperature: float = Field(0.0, ge=0, description="0 is greedy: always the most likely token")
    top_p: float = Field(1.0, gt=0, le=1, description="sample from the smallest set of tokens with this probability")
    top_k: int = Field(0, ge=0, description="sample from this many most likely tokens; 0 is all of them")
    seed: int = Field(0, ge=0, lt=2**63, description="of sampling")
    batch_size: int = Field(16, ge=1, description="conversations answered at once")


@dataclass(frozen=True)
class Reply:
    """One answer.

    Args:
        text: What was said, without the template's end token and white space around it.
        tokens: How many tokens were generated.
        finish: `stop` when the model ended its turn, `length` when `max_new_tokens` cut it.
    """

    text: str
    tokens: int
    finish: Literal["stop", "length"]


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
