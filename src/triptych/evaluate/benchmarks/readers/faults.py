"""Records that cannot be read: one bad record costs one record, and is counted and listed."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from triptych.errors import DataError

LISTED = 20
"""How many are listed with place and reason; the others are counted."""

MISTAKES = (ValueError, TypeError, SyntaxError, IndexError, AttributeError, RecursionError, OverflowError)
"""What a value of another form than expected leads to; a key that is not there is a KeyError."""


class Faults:
    """The records of a task's files that cannot be read.

    Args:
        count: How many so far.
        listed: Place and reason of the first `LISTED`.
    """

    def __init__(self) -> None:
        self.count = 0
        self.listed: list[str] = []

    def add(self, fault: str) -> None:
        """One more record, with its place and the reason."""
        self.count += 1
        if len(self.listed) < LISTED:
            self.listed.append(fault)

    @contextmanager
    def at(self, where: str) -> Iterator[None]:
        """What is wrong with a record inside of the block is noted with its place, and the block is left."""
        try:
            with located(where):
                yield
        except DataError as error:
            self.add(str(error))

    @property
    def facts(self) -> dict[str, Any]:
        """What a result says of them: `unreadable`, if there are any."""
        return {"unreadable": {"records": self.count, "listed": self.listed}} if self.count else {}

    def by_reason(self) -> dict[str, int]:
        """Those that are listed, one each, and the number of the others."""
        more = self.count - len(self.listed)
        return dict.fromkeys(self.listed, 1) | ({"further records that cannot be read": more} if more else {})

    def __str__(self) -> str:
        """How many, and the first of them, in one line."""
        records = "record" if self.count == 1 else "records"
        first = f"; the first: {self.listed[0]}" if self.count > 1 else f": {self.listed[0]}" if self.count else ""
        return f"{self.count:,} {records} cannot be read{first}"


@contextmanager
def located(where: str) -> Iterator[None]:
    """What is wrong with a record is told with the place it was found at.

    Raises:
        DataError: The block misses a key or stumbles over a value.
    """
    try:
        yield
    except KeyError as error:
        raise DataError(f"{where}: has no {error.args[0]!r}") from error
    except DataError as error:
        raise DataError(str(error) if where in str(error) else f"{where}: {error}") from error
    except MISTAKES as error:
        raise DataError(f"{where}: {error}") from error
