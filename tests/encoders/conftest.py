"""Pictures to encode, and the packaged weights where they can be had."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from PIL import Image as Pillow

from triptych.conversation import Image
from triptych.errors import WeightsError
from triptych.weights import EFFICIENTNET_LITE2, fetch


@pytest.fixture(scope="session")
def picture() -> Callable[[int, int], Image]:
    """Makes a picture of a width and height, with structure at several scales."""

    def make(width: int, height: int) -> Image:
        small = Pillow.fromarray(np.random.default_rng(0).integers(0, 256, (8, 8, 3), dtype=np.uint8))
        return Image(small.resize((width, height), Pillow.Resampling.BICUBIC))

    return make


@pytest.fixture(scope="session")
def lite2() -> str:
    """The URI of the packaged weights."""
    try:
        fetch(EFFICIENTNET_LITE2)
    except WeightsError as error:
        pytest.skip(f"needs the packaged weights of EfficientNet-Lite2: {str(error).splitlines()[0]}")
    return EFFICIENTNET_LITE2
