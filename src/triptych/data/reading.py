"""Reading one record of any source: whatever is wrong with it is a `DataError` that names the record.

    source[i] ──► text is valid Unicode ──► regions are of their pictures ──► Conversation
        └────────────────┴───────────────────────┴──► DataError (of an exception nobody expected, too)

Every part of the toolkit that goes through a source reads it here, so that no record ends a run, a plan or a report.
"""

from __future__ import annotations

import traceback
from pathlib import Path
from typing import Protocol, runtime_checkable

from triptych.conversation import NORMALISED, THOUSANDTHS, Conversation, Image, Medium, Region
from triptych.conversation.expression import Expression
from triptych.conversation.unicode import check_unicode
from triptych.data.boxes.check import check_region
from triptych.data.sources import Source
from triptych.errors import DataError, WeightsError, excerpt


class UnexpectedError(DataError):
    """An exception about one record that the code did not foresee: most likely a defect, of a source or of ours."""

    def __init__(self, error: Exception) -> None:
        frames = traceback.extract_tb(error.__traceback__)
        place = f" ({Path(frames[-1].filename).name}:{frames[-1].lineno}, {frames[-1].name})" if frames else ""
        super().__init__(f"unexpected {type(error).__name__}: {excerpt(str(error), 200)}{place}")
        self.kind = f"unexpected {type(error).__name__}"


@runtime_checkable
class Located(Protocol):
    """A source that knows where its records stand."""

    def where(self, index: int, /) -> str:
        """File and line of a record."""
        ...


def where(source: Source, index: int) -> str:
    """File and line of a record, as far as its source knows; nothing where it does not."""
    if not isinstance(source, Located):
        return ""
    try:
        return str(source.where(index))
    except Exception:  # a source of the user's own may mean something else by the name
        return ""


def read_record(source: Source, index: int) -> Conversation:
    """Record number `index` of a source, checked.

    Raises:
        DataError: The record cannot be used; `UnexpectedError` where reading it failed in a way that nobody foresaw.
        WeightsError: What the whole dataset is made with cannot be had.
    """
    try:
        conversation = source[index]
        check(conversation)
    except (DataError, WeightsError):
        raise
    except Exception as error:
        raise UnexpectedError(error) from error
    return conversation


def check(conversation: Conversation) -> None:
    """Raises DataError where a conversation holds text that is no Unicode, or a region that cannot be one of its picture."""
    if not isinstance(conversation, Conversation):
        raise DataError(f"expected the source to return a Conversation, got {type(conversation).__name__}")
    shown = next((medium for medium in conversation.media if isinstance(medium, Image)), None)
    for message in conversation.messages:
        for part in message.parts:
            if isinstance(part, str):
                check_unicode(part, f"the {message.role}'s message")
            elif isinstance(part, Image):
                shown = part
            elif isinstance(part, Region):
                _check_region(part, shown)
            elif not isinstance(part, Medium):
                raise DataError(f"expected text, media and regions in a message, got {type(part).__name__}")
    for key in ("grounding", "grounded_caption"):
        for expression in conversation.annotations.get(key) or ():
            if isinstance(expression, Expression):
                for region in expression.regions:
                    _check_region(region, shown)


def _check_region(region: Region, picture: Image | None) -> None:
    """Of a picture's region: in its pixels where its frame has a unit of its own."""
    if region.frame in (NORMALISED, THOUSANDTHS):
        if picture is not None:
            check_region(region, picture.frame)
    else:
        check_region(region)
