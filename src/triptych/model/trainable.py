"""What training needs to know of a model, whatever it is made of."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Protocol

import torch
from torch import Tensor, nn

from triptych.encoders.encoder import Encoder


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

    def slots(self) -> Mapping[str, Encoder]:
        """The encoders whose features may be kept while they are frozen, by the place that each has in the model."""
        ...

    def after_step(self) -> dict[str, float]:
        """Called behind every update: keeps parameters within their bounds; returns figures for the log."""
        ...

    def describe(self, batch: Any) -> list[dict[str, Any]]:
        """The records of a batch in words, for a person to look at."""
        ...

    # What every nn.Module has.

    def eval(self) -> Any: ...

    def to(self, device: str, /) -> Any: ...

    def modules(self) -> Iterator[nn.Module]: ...

    def requires_grad_(self, requires_grad: bool = True) -> Any: ...

    def named_parameters(self) -> Iterator[tuple[str, nn.Parameter]]: ...

    def named_buffers(self) -> Iterator[tuple[str, Tensor]]: ...

    def state_dict(self) -> dict[str, Any]: ...


class TrainableModule(nn.Module):
    """What most models need of `Trainable`: its parts are its children with parameters, all of which a run keeps."""

    saved: tuple[str, ...] = ("",)

    @property
    def device(self) -> torch.device:
        """See `Trainable.device`."""
        return next(self.parameters()).device

    @property
    def part_names(self) -> list[str]:
        """See `Trainable.part_names`."""
        return [name for name, child in self.named_children() if next(child.parameters(), None) is not None]

    def part(self, name: str) -> Iterator[tuple[str, nn.Parameter]]:
        """See `Trainable.part`."""
        if name not in self.part_names:
            raise KeyError(name)
        return ((key, parameter) for key, parameter in self.named_parameters() if key.startswith(f"{name}."))

    def slots(self) -> Mapping[str, Encoder]:
        """See `Trainable.slots`: none."""
        return {}

    def after_step(self) -> dict[str, float]:
        """See `Trainable.after_step`: nothing."""
        return {}

    def describe(self, batch: Any) -> list[dict[str, Any]]:
        """See `Trainable.describe`."""
        return [{"id": document.id} for document in batch.conversations]
