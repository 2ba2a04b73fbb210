"""Pictures of one coloured rectangle, asked for and answered by its region: what pointing by embedding is tested on."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image as Pillow

from triptych.conversation import Conversation, Frame, Image, Mask, Region, assistant, user

SIZES = ((40, 32), (32, 32), (30, 36))

REGIONS: dict[str, Any] = {
    "kind": "embedding",
    "width": 16,
    "fineness": 2,
    "box": {"hidden": 16, "looks": 1, "heads": 2},
    "mask": {"layers": 1, "heads": 2, "feed_forward": 16, "more_masks": 0},
    "generation": {"max_new_tokens": 6, "batch_size": 8},
}
"""`model.regions` of a tiny recipe."""


def shown(number: int, masks: bool = True) -> tuple[Image, Region]:
    """A picture and the region of what is in it."""
    width, height = SIZES[number % len(SIZES)]
    left, top = 3 + number % 9, 2 + 2 * (number % 7)
    box = (left, top, left + 12, top + 10)
    pixels = np.full((height, width, 3), 230, dtype=np.uint8)
    pixels[top : top + 10, left : left + 12] = (200, 30, 40)
    mask = np.zeros((height, width), dtype=bool)
    mask[top : top + 10, left : left + 12] = True
    region = Region(box, Frame(width, height), mask=Mask.encode(mask) if masks else None)
    return Image(Pillow.fromarray(pixels), key=f"rectangle {number}"), region


class Rectangles:
    """Conversations about them: `kind: tiny_regions:Rectangles`. Every third has two regions, every fifth none, every
    seventh no masks, every other one a region in the question."""

    def __init__(self, base: Path | None = None, count: int = 12) -> None:
        del base
        self.count = count

    def __len__(self) -> int:
        return self.count

    def __getitem__(self, index: int) -> Conversation:
        picture, region = shown(index, masks=index % 7 != 6)
        question = ("left of ", region, "?") if index % 2 else ("the red on the left?",)
        answers = {0: ("none",)}.get(index % 5, ("red", region))
        if index % 3 == 2:
            answers = ("red", region, " and green", region)
        messages = (user(picture, *question), assistant(*answers))
        return Conversation(messages, id=f"rectangle {index}")
