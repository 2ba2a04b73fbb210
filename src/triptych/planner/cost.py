"""What a plan says: parts, stages with FLOPs, seconds and memory, and in which words a kind of model is counted."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from triptych.planner.datasets import DatasetSize
from triptych.planner.devices import DeviceSpec
from triptych.planner.memory import MemoryItem
from triptych.planner.parts import Part


@dataclass(frozen=True)
class Wording:
    """What the tables call what is counted, which depends on the kind of model.

    Args:
        counts: Name → field of `StageCost`, in the order of the table.
        row: What `StageCost.row` is.
        flops: How FLOPs were counted.
        data: A record of a dataset, a format of its `DatasetSize`.
    """

    counts: tuple[tuple[str, str], ...] = (
        ("conversations", "samples"),
        ("tokens", "tokens"),
        ("pictures encoded", "encoded"),
    )
    row: str = "tokens in a row"
    flops: str = (
        "2 per parameter and token forward, 2 more to pass the gradient on, 2 more where the parameter learns; "
        "attention over whole rows; logits for supervised tokens only"
    )
    data: str = "{0.shown} and {0.text_tokens:,.0f} tokens of text, {0.supervised:,.0f} of them supervised"


PAIRS = Wording(
    counts=(("pairs", "samples"), ("tokens", "tokens"), ("pictures encoded", "encoded")),
    row="tokens in a text",
    flops="those of the matrix products of both sides, counted by PyTorch; what is frozen is computed once",
    data="a picture each, {0.text_tokens:,.1f} tokens in a text",
)
"""Of dual encoders."""

BLIP2_PAIRS = Wording(
    counts=PAIRS.counts,
    row="tokens in a text, padded",
    flops="those of the matrix products of a whole step, counted by PyTorch; texts are as long as the longest of the batch",
    data=PAIRS.data,
)
"""Of BLIP-2's first stage."""

PICTURES = Wording(
    counts=(("pictures", "samples"), ("boxes", "supervised"), ("pictures encoded", "encoded")),
    row="phrases in a batch",
    flops="those of the matrix products and convolutions of a whole step, counted by PyTorch",
    data="a picture each, {0.supervised:,.1f} boxes in it",
)
"""Of detectors."""


@dataclass(frozen=True)
class StageCost:
    """What a stage costs.

    Args:
        name: Of the stage.
        learning: The parts that learn, and how many of their parameters do.
        steps: Optimiser steps.
        samples: Conversations seen.
        tokens: Positions read, media included.
        supervised: Tokens predicted.
        encoded: Media that pass through an encoder.
        row: Tokens in a packed row, on average.
        micro_batches: Forward passes per step, over all devices.
        busy: Share of the time in which the devices all have a micro-batch to compute.
        flops: By what they are spent on.
        seconds: By the same, on all devices together.
        memory: Item by item, per device.
        cache_bytes: What the feature cache grows by, on disk.
    """

    name: str
    learning: Mapping[str, int]
    steps: int
    samples: int
    tokens: float
    supervised: float
    encoded: float
    row: float
    micro_batches: int
    busy: float
    flops: Mapping[str, float]
    seconds: Mapping[str, float]
    memory: list[MemoryItem]
    cache_bytes: float

    @property
    def trained(self) -> list[str]:
        """The parts that learn."""
        return list(self.learning)

    @property
    def learned(self) -> int:
        """Parameters that learn."""
        return sum(self.learning.values())

    @property
    def total_flops(self) -> float:
        """Over the whole stage."""
        return sum(self.flops.values())

    @property
    def total_seconds(self) -> float:
        """Wall clock."""
        return sum(self.seconds.values())

    @property
    def whole_bytes(self) -> float:
        """Memory of a device that holds a whole copy of the model."""
        return sum(item.whole for item in self.memory)

    @property
    def sharded_bytes(self) -> float:
        """Memory of a device when the model is sharded over all of them."""
        return sum(item.sharded for item in self.memory)


@dataclass(frozen=True)
class GenerationCost:
    """What answering costs on one device: bytes for weights, per token in the cache, and for a full batch."""

    weights: float
    kv_per_token: float
    requests: int
    total: float


@dataclass(frozen=True)
class CostPlan:
    """What a recipe costs."""

    name: str
    device: DeviceSpec
    count: int
    parts: list[Part]
    datasets: Mapping[str, DatasetSize]
    stages: list[StageCost]
    media_tokens: Mapping[str, int] = field(default_factory=dict)
    """Positions of a medium in the sequence, by modality; none where there is no sequence."""
    generation: GenerationCost | None = None
    """None where nothing answers."""
    note: str = ""
    """What using a model costs that answers nothing."""
    wording: Wording = Wording()
    suggestions: list[str] = field(default_factory=list)

    @property
    def seconds(self) -> float:
        """Wall clock of all stages."""
        return sum(stage.total_seconds for stage in self.stages)

    @property
    def parameters(self) -> int:
        """Of all parts."""
        return sum(part.parameters for part in self.parts)
