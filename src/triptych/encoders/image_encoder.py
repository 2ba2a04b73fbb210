"""The contract of encoders of pictures: from pixels to a grid of features."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

import torch
from torch import Tensor

from triptych.conversation import Image, Medium
from triptych.encoders.encoder import Encoder
from triptych.encoders.preparation import ImagePreparation


class ImageEncoder(Encoder):
    """An encoder of pictures, which are prepared as squares of pixels.

    A subclass calls this constructor and writes `forward`; one whose output is more than the grid also `tokens`.

    Args:
        dim: Channels of the features, D_enc.
        grid: Rows and columns of the features; position `row * columns + column`.
        preparation: Makes the pixels that `forward` takes. Small and picklable: what a worker process needs.
        identity: Whatever else the features depend on besides the weights, as JSON values: architecture, layer, …
    """

    medium: ClassVar[type[Medium]] = Image

    def __init__(
        self, *, dim: int, grid: tuple[int, int], preparation: ImagePreparation, identity: Mapping[str, Any]
    ) -> None:
        shape = (3, preparation.size, preparation.size)
        super().__init__(dim=dim, grid=grid, input_shape=shape, input_dtype=torch.uint8, identity=identity)
        self.preparation = preparation

    @property
    def usual_tokens(self) -> int:
        """Positions of the features of any picture: its size does not matter once it is prepared."""
        return self.tokens(Image(b""))

    def prepare(self, part: Image) -> Tensor:
        """Pixels `[C, H, W]` of a picture, uint8, on the CPU.

        Raises:
            DataError: The picture cannot be read.
        """
        return self.preparation(part)

    @property
    def _described(self) -> list[Any]:
        return [self.preparation.identity, *super()._described]
