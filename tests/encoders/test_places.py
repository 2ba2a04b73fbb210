"""A picture's features do not depend on its place in a forward pass, where an encoder's arithmetic does."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from triptych.encoders.image_encoder import ImageEncoder
from triptych.encoders.preparation import ImagePreparation


class Uneven(ImageEncoder):
    """Adds a different number to the features of some places, as the tail of a vectorised loop rounds differently."""

    def __init__(self, offsets: list[float]) -> None:
        super().__init__(dim=3, grid=(1, 1), preparation=ImagePreparation(2), identity={})
        self.weight = nn.Parameter(torch.ones(1), requires_grad=False)
        self.offsets = torch.tensor(offsets)
        self.passes = 0

    def forward(self, pixels: Tensor) -> Tensor:
        self.passes += 1
        return pixels.float().mean(dim=(2, 3))[:, None] * self.weight + self.offsets[:, None, None]


@pytest.mark.parametrize(
    ("offsets", "usable"), [([0, 0, 0, 0], 4), ([0, 0, 0, 1], 3), ([0, 2, 0, 1], 2), ([0, 1, 2, 3], 1)]
)
def test_only_places_that_agree_are_used(offsets: list[float], usable: int) -> None:
    encoder = Uneven(offsets).eval()
    pictures = [torch.randint(0, 255, (3, 2, 2), dtype=torch.uint8) for _ in range(9)]
    together = encoder.encode(pictures)
    assert encoder.passes == 1 + -(-8 // usable)
    assert all(
        torch.equal(encoder.encode([picture])[0], features)
        for picture, features in zip(pictures, together, strict=True)
    )
    assert all(
        torch.equal(features, picture.float().mean(dim=(1, 2))[None])
        for picture, features in zip(pictures, together, strict=True)
    )


def test_one_picture_takes_one_pass() -> None:
    encoder = Uneven([0, 0, 0, 0]).eval()
    encoder.encode([torch.zeros(3, 2, 2, dtype=torch.uint8)])
    assert encoder.passes == 1
