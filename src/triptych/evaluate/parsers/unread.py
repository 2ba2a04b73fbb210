"""Why an answer says nothing that can be read."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Unread:
    """What a reader gives instead of an answer, where it can say why.

    Args:
        reason: For the one who looks at the records: short, without values of the record, so that reasons can be counted.
    """

    reason: str


THINKS_TO_THE_END = Unread("the think block is not closed; a larger `max_new_tokens` may let the model finish")
EMPTY = Unread("says nothing")
CONTRADICTS = Unread("concludes two different things")
TAKEN_BACK = Unread("takes its answer back, or doubts it")
NOTHING_CONCLUDED = Unread("concludes nothing that the question asks for")
