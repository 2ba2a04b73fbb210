"""LLaVA's conversations whose boxes are read as regions: "The dog is at [0.12, 0.30, 0.58, 0.91]."

LLaVA 1.5 and Shikra were trained with shares of the square that a picture is padded to; other data with shares of the
picture itself. Nothing in a file says which, so the recipe does.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Literal

from triptych.conversation import NORMALISED, Conversation, Frame, Image, Region
from triptych.conversation.conversation import Part
from triptych.data.boxes.check import TOLERANCE, annotated_frame, check_region
from triptych.data.llava import LlavaSource
from triptych.errors import DataError

_NUMBER = r"\s*(-?(?:\d+(?:\.\d*)?|\.\d+))\s*"
_BOX = re.compile(rf"\[{_NUMBER},{_NUMBER},{_NUMBER},{_NUMBER}\]")

FOREIGN = 8.0
"""Four whole numbers above 1 that would be a box of at least so many units a side are taken for one in pixels or thousandths, which
the recipe did not declare; smaller ones are a list of numbers."""


class LlavaBoxesSource(LlavaSource):
    """`LlavaSource` with `Region` parts in the place of boxes, each of the picture shown last before it.

    Args:
        path: A JSON list or JSON lines.
        images: The folder that the records' pictures are in.
        boxes: What shares are of.
        limit: Read only the first records, this many.

    Raises:
        DataError: As `LlavaSource`.
    """

    def __init__(
        self, path: Path, images: Path, boxes: Literal["picture", "square"] = "picture", limit: int | None = None
    ) -> None:
        super().__init__(path, images, limit)
        self.boxes = boxes

    def __getitem__(self, index: int) -> Conversation:
        """As of `LlavaSource`; a box in a conversation without a picture, or outside of it, raises DataError."""
        conversation = super().__getitem__(index)
        shown: list[Image] = []
        try:
            messages = [
                replace(message, parts=tuple(self._parts(message.parts, shown))) for message in conversation.messages
            ]
        except DataError as error:
            raise DataError(f"{self.records.where(range(len(self))[index])}: {error}") from error
        return replace(conversation, messages=tuple(messages))

    def _parts(self, parts: tuple[Part, ...], shown: list[Image]) -> Iterator[Part]:
        for part in parts:
            if isinstance(part, Image):
                shown.append(part)
            if not isinstance(part, str):
                yield part
                continue
            seen = 0
            for match in _BOX.finditer(part):
                if not _is_box([float(value) for value in match.groups()]):
                    continue
                if before := part[seen : match.start()]:
                    yield before
                if not shown:
                    raise DataError(f"the box {match[0]} stands before any picture")
                yield self._region(match, shown[-1])
                seen = match.end()
            if rest := part[seen:]:
                yield rest

    def _region(self, match: re.Match[str], image: Image) -> Region:
        left, top, right, bottom = (float(value) for value in match.groups())
        if left > right or top > bottom:
            raise DataError(f"the box {match[0]} has its corners in the wrong order")
        if max(right, bottom) > 1 + TOLERANCE or min(left, top) < -TOLERANCE:
            raise DataError(
                f"the box {match[0]} has numbers outside of 0–1, so they are no shares of the {self.boxes}; convert pixels "
                "and thousandths to shares, or leave boxes in the text (`boxes: text`)"
            )
        frame = annotated_frame(image, None)
        region = Region((left, top, right, bottom), NORMALISED).to(frame)
        hint = "are its numbers shares of the padded square (`boxes: square`)?"
        if self.boxes == "square":
            region = self._unpadded(region.to(NORMALISED), frame)
            hint = "it reaches into the padding; are its numbers shares of the picture (`boxes: picture`)?"
        return check_region(region, said=match[0], hint=hint)

    @staticmethod
    def _unpadded(region: Region, frame: Frame) -> Region:
        """From shares of the square around the picture's middle to the picture's pixels."""
        side = max(frame.width, frame.height)
        across, down = (side - frame.width) / 2, (side - frame.height) / 2
        left, top, right, bottom = region.to(Frame(side, side)).box
        return Region((left - across, top - down, right - across, bottom - down), frame)


def _is_box(values: list[float]) -> bool:
    """Whether four numbers in brackets are a box, in the unit that the recipe declares or in another.

    Decimals are, for shares are written so; whole numbers above 1 where they could be pixels or thousandths (`FOREIGN`).
    """
    left, top, right, bottom = values
    largest, whole = max(map(abs, values)), all(value.is_integer() for value in values)
    return largest <= 1 or not whole or (right - left >= FOREIGN and bottom - top >= FOREIGN)
