"""The data of the benchmarks: several conversations of unequal length about each picture, as instruction data has them.

LLaVA-Instruct-158K holds 158,000 conversations about 81,000 pictures (Liu et al., 2023): multi-turn questions, and
single turns with a longer answer. Here every scene gives two: up to eight questions with short answers (two to eight
turns, as many as the scene has to ask for), and one request for a description.
"""

from __future__ import annotations

from pathlib import Path

from triptych.conversation import Conversation
from triptych.scenes.config import ScenesConfig
from triptych.scenes.dataset import Scenes

PER_PICTURE = 2


class Talks:
    """`2 × pictures` conversations; `talks[2 i]` asks about scene `i`, `talks[2 i + 1]` has it described.

    Args:
        pictures: How many scenes.
        size: Side of a picture in pixels.
        base: The recipe's folder; not used.
    """

    def __init__(self, pictures: int, size: int = 224, base: Path = Path()) -> None:  # noqa: ARG002
        common = {"count": pictures, "size": size, "things": 64, "objects": (2, 6), "split": "test"}
        self._styles = (
            Scenes(ScenesConfig(**common, style="questions", questions=8)),
            Scenes(ScenesConfig(**common, style="caption")),
        )

    def __len__(self) -> int:
        return PER_PICTURE * len(self._styles[0])

    def __getitem__(self, index: int) -> Conversation:
        """Conversation number `index`."""
        scene, style = divmod(range(len(self))[index], PER_PICTURE)
        return self._styles[style][scene]
