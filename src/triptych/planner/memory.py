"""Memory of one device in one stage, item by item."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import nn

from triptych.planner.devices import DeviceSpec

FRAGMENTATION = 1.05
"""What an allocator takes over what is asked of it."""


@dataclass(frozen=True)
class MemoryItem:
    """Bytes of one kind on each device: with a whole copy of the model on each, and sharded over all of them."""

    name: str
    whole: float
    sharded: float


def standing(
    model: nn.Module, trained: Mapping[str, Mapping[str, nn.Parameter]], layers: Sequence[nn.Module], count: int
) -> list[MemoryItem]:
    """What is there all the time: weights, and what the optimiser keeps of the parameters that learn.

    Args:
        model: On the meta device.
        trained: Part → name → parameter.
        layers: Those that are gathered one at a time where the model is sharded.
        count: How many devices share the parameters.
    """
    learned = [parameter for group in trained.values() for parameter in group.values()]
    low = [parameter for parameter in learned if parameter.dtype != torch.float32]
    numbers, low_numbers = _count(learned), _count(low)
    layer = max((_bytes(list(block.parameters())) for block in layers), default=0)
    weights = _bytes(list(model.parameters()))

    def spread(name: str, size: float, gathered: float = 0.0) -> MemoryItem:
        return MemoryItem(name, size, size / count + (gathered if count > 1 else 0.0))

    return [
        spread("weights", weights, gathered=2 * layer),
        spread("gradients (float32)", 4 * numbers),
        spread("gradients of one micro-batch", _bytes(low), gathered=layer if low else 0.0),
        spread("float32 masters", 4 * low_numbers),
        spread("moments of AdamW", 8 * numbers),
    ]


def passing(found: Mapping[str, float], device: DeviceSpec) -> list[MemoryItem]:
    """What is there only for a while, bytes by name, and what the allocator and the driver take beside it."""
    total = sum(found.values())
    sizes = {**found, "fragmentation": (FRAGMENTATION - 1) * total, "driver and libraries": device.reserved}
    return [MemoryItem(name, size, size) for name, size in sizes.items()]


def _count(parameters: list[nn.Parameter]) -> int:
    return sum(parameter.numel() for parameter in parameters)


def _bytes(parameters: list[nn.Parameter]) -> int:
    return sum(parameter.numel() * parameter.element_size() for parameter in parameters)
