"""Asking so that a question which fails takes no other along."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, TypeAlias, TypeVar

from triptych.conversation import Conversation
from triptych.errors import DataError, EvaluationError, GenerationError
from triptych.generate.config import Reply

if TYPE_CHECKING:
    from triptych.generate.config import GenerationSettings, Responder

Asked = TypeVar("Asked")

Said: TypeAlias = Reply | str | EvaluationError
"""A reply, the reason why there is none, or what stops the evaluation."""


def attempt(put: Callable[[Sequence[Asked]], Sequence[Said]], asked: Sequence[Asked]) -> list[Said]:
    """What is said to each. Where a batch fails, its halves are asked, down to the one that is to blame.

    Raises:
        EvaluationError: `put` gives another number of replies.
    """
    try:
        said = put(asked)
    except (DataError, GenerationError) as error:
        if len(asked) == 1:
            return [str(error)]
        half = len(asked) // 2
        return attempt(put, asked[:half]) + attempt(put, asked[half:])
    if len(said) != len(asked):
        raise EvaluationError(f"the responder gave {len(said)} replies to {len(asked)} conversations")
    return list(said)


def put_to(responder: Responder, conversations: Sequence[Conversation], settings: GenerationSettings) -> Sequence[Said]:
    """Ask a responder. One with `respond_each` says itself which conversations fail, so that none is asked twice."""
    each = getattr(responder, "respond_each", None)
    if each is None:
        return responder.respond(conversations, settings)
    return [
        str(said) if isinstance(said, DataError | GenerationError) else said for said in each(conversations, settings)
    ]
