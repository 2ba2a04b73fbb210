"""The contract of encoders: from a medium to features `[N, T, D_enc]`."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from triptych.conversation import Medium

NUMERICS = 4
"""Counts changes to the arithmetic of this floor, so that features cached before one are not taken for those after."""


@dataclass(frozen=True)
class Level:
    """A part of an encoder's channels.

    Args:
        channels: Of one cell.
        fineness: How much finer than the encoder's grid its own is, on each axis. A position of the features then holds
            `fineness × fineness` cells, row by row, one behind the other.
    """

    channels: int
    fineness: int = 1

    @property
    def size(self) -> int:
        """How many of the features' channels it takes."""
        return self.channels * self.fineness**2


class Encoder(nn.Module):
    """An encoder of the media of one modality; that of pictures is `ImageEncoder`.

    A subclass sets `medium`, calls this constructor, and writes `prepare` and `forward`; one whose output is not just as long
    as the grid also writes `tokens`.

    Args:
        dim: Channels of the features, D_enc.
        grid: Rows and columns of the features, position `row * columns + column`; one row where they are a sequence.
        input_shape: Of a prepared medium of usual size.
        input_dtype: Its number type.
        identity: What the features depend on besides the weights, as JSON values: preparation, architecture, layer, …
    """

    medium: ClassVar[type[Medium]]
    """The class of media that it takes."""

    def __init__(
        self,
        *,
        dim: int,
        grid: tuple[int, int],
        input_shape: tuple[int, ...],
        input_dtype: torch.dtype = torch.float32,
        identity: Mapping[str, Any],
    ) -> None:
        super().__init__()
        self.dim = dim
        self.grid = grid
        self.input_shape, self.input_dtype = input_shape, input_dtype
        self._identity = dict(identity)
        self._fingerprint: tuple[tuple[Any, ...], str] | None = None
        self._places: dict[tuple[torch.Size, torch.device, torch.dtype], Sequence[int]] = {}

    @property
    def dtype(self) -> torch.dtype:
        """The precision that the encoder computes in and answers with."""
        return next(self.parameters()).dtype

    @property
    def modality(self) -> str:
        """The modality of the media that it takes."""
        return self.medium.modality

    @property
    def levels(self) -> tuple[Level, ...]:
        """What the channels are made of; one level, unless some hold details of where in a position something is."""
        return (Level(self.dim),)

    def tokens(self, part: Any) -> int:  # noqa: ARG002 - every medium has the same length here
        """How many positions T the features of a medium take: the only truth about it.

        Raises:
            DataError: That depends on the medium, which cannot be read.
        """
        return self.grid[0] * self.grid[1]

    @property
    def usual_tokens(self) -> int:
        """Positions of the features of a medium of usual size, for plans and for the choice of adapters."""
        return self.grid[0] * self.grid[1]

    def prepare(self, part: Any) -> Tensor:
        """What `forward` takes of a medium, on the CPU. Uses no weights: worker processes call it.

        Raises:
            DataError: The medium cannot be read.
        """
        raise NotImplementedError

    def blank(self, count: int) -> Tensor:
        """Prepared media `[count, …]` of usual size of which only the shape is real, on the meta device."""
        return torch.empty(count, *self.input_shape, dtype=self.input_dtype, device="meta")

    def forward(self, prepared: Tensor) -> Tensor:
        """Features `[N, T, dim]` of prepared media `[N, …]`; pictures are pixels `[N, C, H, W]`."""
        raise NotImplementedError

    @property
    def chunk(self) -> int:
        """Media per forward pass of `encode`: what suits the device, and constant on it."""
        return 4 if next(self.parameters()).device.type == "cpu" else 32

    def encode(self, prepared: Sequence[Tensor]) -> list[Tensor]:
        """Features `[T, dim]` of each of any number of prepared media, on the encoder's device.

        Every forward pass has exactly `chunk` media of one shape, the last one filled up: matrix products of different
        sizes round differently, and a medium's features must not depend on what it is encoded with. Nor on its place in
        the pass: the first pass of each shape checks which places agree, and only those are used.
        """
        device = next(self.parameters()).device
        features: list[Tensor] = [torch.empty(0)] * len(prepared)
        shapes: dict[torch.Size, list[int]] = {}
        for i, medium in enumerate(prepared):
            shapes.setdefault(medium.shape, []).append(i)
        for shape, same in shapes.items():
            key = (shape, device, self.dtype)
            places = self._places.get(key, range(self.chunk))
            # In training mode dropout differs from place to place, and nothing is cached.
            if key not in self._places and not self.training and device.type != "meta":
                first, *same = same
                copies = self(prepared[first].expand(self.chunk, *shape).to(device))
                # PyTorch's vectorised loops compute the last few elements of a tensor, where its size is no multiple of
                # the vector's, by other code that rounds differently: the medium in the last place would differ.
                places = [place for place in range(self.chunk) if torch.equal(copies[place], copies[0])]
                self._places[key] = places
                features[first] = copies[0]
            for start in range(0, len(same), len(places)):
                part = same[start : start + len(places)]
                batch = prepared[part[0]].new_zeros(self.chunk, *shape)
                for place, i in zip(places, part, strict=False):
                    batch[place] = prepared[i]
                encoded = self(batch.to(device))
                for place, i in zip(places, part, strict=False):
                    features[i] = encoded[place]
        return features

    @property
    def fingerprint(self) -> str:
        """A hash of everything that the features depend on: weights, precision, preparation, architecture.

        Equal in every process that builds the same encoder; different as soon as a weight is trained or
        loaded. Reads all weights when they have changed (about a second per gigabyte).
        """
        tensors = self.state_dict()
        state = tuple((name, tensor.dtype, tensor.data_ptr(), tensor._version) for name, tensor in tensors.items())
        if self._fingerprint is None or self._fingerprint[0] != state:
            self._fingerprint = (state, self._hash(tensors))
        return self._fingerprint[1]

    def _hash(self, tensors: Mapping[str, Tensor]) -> str:
        kind = f"{type(self).__module__}.{type(self).__qualname__}"
        digest = hashlib.sha256(json.dumps([NUMERICS, kind, *self._described], sort_keys=True).encode())
        for name in sorted(tensors):
            tensor = tensors[name].detach().cpu().contiguous()
            digest.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}".encode())
            digest.update(tensor.flatten().view(torch.uint8).numpy().data)
        return digest.hexdigest()

    @property
    def _described(self) -> list[Any]:
        """What the fingerprint depends on besides the class and the weights."""
        return [self._identity]


class Normalisation(nn.Module):
    """Pixels 0–255 to `(pixels / 255 - mean) / std` per channel, in the precision of the encoder."""

    def __init__(self, mean: tuple[float, float, float], std: tuple[float, float, float]) -> None:
        super().__init__()
        # Not in the state dict: they are configuration, and must not be rounded when a module is cast.
        self.mean, self.std = tuple(255 * value for value in mean), tuple(255 * value for value in std)

    def forward(self, pixels: Tensor, dtype: torch.dtype) -> Tensor:
        """`[N, 3, H, W]` uint8 (or any number type in 0–255) to `dtype`."""
        mean = torch.tensor(self.mean, device=pixels.device).view(3, 1, 1)
        std = torch.tensor(self.std, device=pixels.device).view(3, 1, 1)
        return ((pixels.float() - mean) / std).to(dtype)
