"""What the training loop needs to know of a batch, whatever it holds."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol, Self

from triptych.sequence.pack import Document


class StepBatch(Protocol):
    """Rows with documents and terms to learn, that can be cut apart."""

    @property
    def conversations(self) -> Sequence[Document]:
        """Where the rows come from."""
        ...

    @property
    def ids(self) -> Any:
        """One entry for each row: `len(ids)` is their number."""
        ...

    @property
    def tokens(self) -> int:
        """How much was read, for the log."""
        ...

    @property
    def supervised(self) -> int:
        """How many terms there are to learn."""
        ...

    def rows(self, keep: Sequence[int], /) -> Self:
        """Some of the rows as a batch of their own."""
        ...

    def split(self, rows: int, /) -> list[Self]:
        """Batches of at most `rows` rows."""
        ...
