"""What embedding tasks need of a model."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol, TypeAlias

import numpy as np
from numpy.typing import NDArray

from triptych.conversation import Image

Floats: TypeAlias = NDArray[np.floating[Any]]


class Embedder(Protocol):
    """Pictures and texts as directions in one space, and pictures as features. All on the CPU, float32."""

    def images(self, pictures: Sequence[Image]) -> Floats:
        """Directions `[N, E]` of pictures, of length one."""
        ...

    def texts(self, texts: Sequence[str]) -> Floats:
        """Directions `[N, E]` of texts, of length one."""
        ...

    def features(self, pictures: Sequence[Image]) -> Floats:
        """Pooled features `[N, D]` of pictures."""
        ...
