"""A contact sheet: many scenes in one picture, to look at."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from triptych.scenes.compose import Scene

if TYPE_CHECKING:
    from PIL.Image import Image as PILImage


def contact_sheet(scenes: Sequence[Scene], *, columns: int = 4, side: int = 200, gap: int = 6) -> PILImage:
    """The scenes side by side, each reduced to `side` pixels, in rows of `columns`, on white."""
    from PIL import Image

    rows = -(-len(scenes) // columns)
    sheet = Image.new("RGB", (columns * (side + gap) + gap, rows * (side + gap) + gap), "white")
    for i, scene in enumerate(scenes):
        row, column = divmod(i, columns)
        picture = scene.draw().resize((side, side), Image.Resampling.LANCZOS)
        sheet.paste(picture, (gap + column * (side + gap), gap + row * (side + gap)))
    return sheet
