"""What training needs to know of a model, whatever it is made of."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Protocol

import torch
from torch import Tensor, nn


class Trainable(Protocol):
    """A module whose parts a stage may train by name."""

    @property
    def device(self) -> torch.device:
        """Where the model computes."""
        ...

    @property
    def part_names(self) -> list[str]:
        """The parts that together are the whole model, in the order of the table that training prints."""
        ...

    @property
    def saved(self) -> tuple[str, ...]:
        """Beginnings of the names of parameters that a run holds even where no stage trained them."""
        ...

    def part(self, name: str) -> Iterator[tuple[str, nn.Parameter]]:
        """The named parameters of a part. Raises KeyError where there is no such part."""
        ...

    def after_step(self) -> dict[str, float]:
        """Called behind every update: keeps parameters within their bounds; returns figures for the log."""
        ...

    def describe(self, batch: Any) -> list[dict[str, Any]]:
        """The records of a batch in words, for a person to look at."""
        ...

    # What every nn.Module has.

    def eval(self) -> Any: ...

    def modules(self) -> Iterator[nn.Module]: ...

    def requires_grad_(self, requires_grad: bool = True) -> Any: ...

    def named_parameters(self) -> Iterator[tuple[str, nn.Parameter]]: ...

    def named_buffers(self) -> Iterator[tuple[str, Tensor]]: ...

    def state_dict(self) -> dict[str, Any]: ...
