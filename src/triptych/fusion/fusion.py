"""The contract of fusions, and `splice`, which needs nothing but places in the sequence."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from triptych.fusion.config import FusionConfig, SpliceConfig
from triptych.fusion.memory import Memory, Spot

if TYPE_CHECKING:
    from triptych.language.backbone import LanguageModel


@dataclass
class Reading:
    """What the language model is reading just now.

    Args:
        memory: The media at hand; None where there are none.
        positions: `[R, L]` place of each token in its document.
        documents: `[R, L]` document of each token, -1 for padding.
        mask: What a fusion works out once for all its layers.
    """

    memory: Memory | None
    positions: Tensor
    documents: Tensor
    mask: tuple[Tensor, ...] | None = None


class Fusion(nn.Module):
    """How adapted media meet the language model.

    Modules that a fusion puts into the language model belong to the fusion: the language model calls them, but its own
    tree, and so the names of its weights, stay as they were.

    Args:
        config: What the recipe says; it knows how many positions of a sequence a medium takes.
    """

    def __init__(self, config: FusionConfig) -> None:
        super().__init__()
        self.config: FusionConfig = config
        self.now: Reading | None = None

    @property
    def parts(self) -> list[str]:
        """The names in front of the first dot of the parameters' names: what a stage may train by itself."""
        return list(dict.fromkeys(name.split(".")[0] for name, _ in self.named_parameters()))

    def positions(self, adapted: int) -> int:
        """How many positions of the sequence a medium of `adapted` adapted positions takes."""
        return self.config.positions(adapted)

    def places(self, features: Sequence[Tensor]) -> list[Tensor]:
        """What stands at these positions, `[positions(T), D]` per medium, given its features `[T, D]`."""
        raise NotImplementedError

    def remember(self, features: Sequence[Tensor], spots: Sequence[Spot], rows: int, like: Tensor) -> Memory | None:
        """What the layers need to know of the media of `rows` rows; None where sequences hold it all.

        Args:
            features: Per medium `[T, D]`.
            spots: Where the media stand.
            rows: How many rows.
            like: A tensor `[..., D]` of the language model, for width, precision and device.
        """
        raise NotImplementedError

    def prepare(self, memory: Memory) -> None:
        """Make keys and values of a memory once, for everything that will be read with it or with rows of it."""

    @contextmanager
    def reading(self, memory: Memory | None, positions_RL: Tensor, documents_RL: Tensor | None) -> Iterator[None]:
        """While the language model reads these tokens; without documents every row is one."""
        documents = torch.zeros_like(positions_RL) if documents_RL is None else documents_RL
        before, self.now = self.now, Reading(memory, positions_RL, documents)
        try:
            yield
        finally:
            self.now = before


class Splice(Fusion):
    """Adapted features take the place of tokens."""

    def __init__(
        self,
        config: FusionConfig | None = None,
        language: LanguageModel | None = None,  # noqa: ARG002 - nothing is put into it
        embedding_std: float = 1.0,  # noqa: ARG002
    ) -> None:
        super().__init__(config or SpliceConfig())

    def places(self, features: Sequence[Tensor]) -> list[Tensor]:
        """The features themselves."""
        return list(features)

    def remember(self, features: Sequence[Tensor], spots: Sequence[Spot], rows: int, like: Tensor) -> None:
        """Nothing: it is all in the sequence."""

    @contextmanager
    def reading(self, memory: Memory | None, positions_RL: Tensor, documents_RL: Tensor | None) -> Iterator[None]:  # noqa: ARG002
        """The language model need not know."""
        yield
