"""A modality that nobody has built in: lists of numbers, their encoder, and a dataset of questions about them.

Recipes name the encoder (`kind: numbers_modality:NumbersEncoder`) and the dataset (`kind: numbers_modality:Lists`).
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Self

import torch
from torch import Tensor, nn

from triptych.conversation import Conversation, Limits, Medium, assistant, user
from triptych.encoders.encoder import Encoder
from triptych.errors import DataError

LONGEST = 64


@dataclass(frozen=True)
class Numbers(Medium):
    """A list of numbers, from a JSON file or as it is."""

    modality: ClassVar[str] = "numbers"
    limits: ClassVar[Limits] = Limits(encoded=4096)

    source: Path | tuple[float, ...]

    def __init__(self, source: Path | Sequence[float]) -> None:
        object.__setattr__(self, "source", source if isinstance(source, Path) else tuple(map(float, source)))

    def __str__(self) -> str:
        return str(self.source) if isinstance(self.source, Path) else f"{len(self.source)} numbers"

    @property
    def content_hash(self) -> str:
        return hashlib.sha256(json.dumps(self.open()).encode()).hexdigest()

    def open(self) -> tuple[float, ...]:
        if isinstance(self.source, tuple):
            return self.source
        try:
            return type(self).from_value(json.loads(self.limits.read(self.source))).open()
        except ValueError as error:
            raise DataError(f"{self.source}: no JSON ({error})") from error

    @classmethod
    def from_file(cls, path: Path) -> Self:
        return cls(path)

    @classmethod
    def from_value(cls, value: Any) -> Self:
        if not isinstance(value, list) or not value or not all(isinstance(each, int | float) for each in value):
            raise DataError(f"expected a list of numbers, got {value!r}")
        if len(value) > LONGEST:
            raise DataError(f"{len(value)} numbers are more than the {LONGEST} allowed")
        return cls(value)


class NumbersEncoder(Encoder):
    """Each number becomes a position: sines of it at several frequencies through a small network."""

    medium = Numbers

    def __init__(self, dim: int = 16) -> None:
        super().__init__(dim=dim, grid=(1, 4), input_shape=(4,), identity={})
        self.register_buffer("frequencies", torch.logspace(-1, 1, dim // 2))
        self.mix = nn.Linear(dim, dim)
        nn.init.eye_(self.mix.weight)
        nn.init.zeros_(self.mix.bias)

    def tokens(self, part: Numbers) -> int:
        return len(part.open())

    def prepare(self, part: Numbers) -> Tensor:
        return torch.tensor(part.open())

    def forward(self, prepared: Tensor) -> Tensor:
        angles = prepared[..., None].to(self.dtype) * self.frequencies
        features: Tensor = torch.tanh(self.mix(torch.cat([angles.sin(), angles.cos()], dim=-1)))
        return features


class Lists:
    """Questions about lists of one to four numbers; the answer depends on the first number."""

    def __init__(self, base: Path, count: int = 12) -> None:
        self.count = count

    def __len__(self) -> int:
        return self.count

    def __getitem__(self, index: int) -> Conversation:
        length, colour = 1 + index % 4, ("red", "blue")[index % 2]
        numbers = Numbers([(-1.0, 1.0)[index % 2], *(index * i % 5 for i in range(1, length))])
        return Conversation(
            (user(numbers, "What colour is this?"), assistant(f"It is {colour}.")),
            id=f"list {index}",
            annotations={"references": [f"It is {colour}."]},
        )
