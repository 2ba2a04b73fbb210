"""What embedding tasks need of a model."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol, TypeAlias, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from triptych.conversation import Image

Floats: TypeAlias = NDArray[np.floating[Any]]


class Embedder(Protocol):
    """Pictures and texts as directions in one space, and pictures as features. All on the CPU, float32."""

    def images(self, pictures: Sequence[Image]) -> Floats:
        """Directions `[N, E]` of pictures, of length one; or `[N, Q, E]`, several for each, of which the nearest counts."""
        ...

    def texts(self, texts: Sequence[str]) -> Floats:
        """Directions `[N, E]` of texts, of length one."""
        ...

    def features(self, pictures: Sequence[Image]) -> Floats:
        """Pooled features `[N, D]` of pictures."""
        ...

    def text_features(self, texts: Sequence[str]) -> Floats:
        """Features `[N, D']` of texts that no picture had a part in, for baselines."""
        ...


@runtime_checkable
class PairJudge(Protocol):
    """A model that also reads a picture and a text together, which takes more time and sees more."""

    @property
    def sharpness(self) -> float:
        """What cosines are multiplied with before they are compared as logits: the learned inverse temperature."""
        ...

    def matches(self, pictures: Sequence[Image], texts: Sequence[str], pairs: NDArray[np.integer[Any]]) -> Floats:
        """The log-odds `[P]` that they belong together, of pairs `[P, 2]` of numbers of pictures and texts."""
        ...


def cosines(images: Floats, texts: Floats) -> Floats:
    """`[N, M]` of pictures `[N, E]` or `[N, Q, E]` with texts `[M, E]`; of several directions the nearest counts."""
    found: Floats = images @ texts.T
    return found.max(axis=1) if found.ndim == 3 else found
