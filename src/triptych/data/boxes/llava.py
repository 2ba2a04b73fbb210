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
from triptych.data.llava import LlavaSource
from triptych.errors import DataError

_NUMBER = r"\s*([01](?:\.\d+)?|\.\d+)\s*"
_BOX = re.compile(rf"\[{_NUMBER},{_NUMBER},{_NUMBER},{_NUMBER}\]")
_TOLERANCE = 0.02  # of a share: what rounding and annotators leave over the edge


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
                if before := part[seen : match.start()]:
                    yield before
                if not shown:
                    raise DataError(f"the box {match[0]} stands before any picture")
                yield self._region(match, shown[-1])
                seen = match.end()
            if rest := part[seen:]:
                yield rest

    def _region(self, match: re.Match[str], image: Image) -> Region:
        values = [float(value) for value in match.groups()]
        left, top, right, bottom = values
        if left > right or top > bottom:
            raise DataError(f"the box {match[0]} has its corners in the wrong order")
        frame = image.frame
        region = Region((left, top, right, bottom), NORMALISED).to(frame)
        if self.boxes == "square":
            region = self._unpadded(values, frame, match[0])
        region = region.clip()
        if region.is_degenerate:
            raise DataError(f"the box {match[0]} covers nothing of the picture")
        return region

    @staticmethod
    def _unpadded(values: list[float], frame: Frame, said: str) -> Region:
        """From shares of the square around the picture's middle to its pixels."""
        side = max(frame.width, frame.height)
        across, down = (side - frame.width) / 2, (side - frame.height) / 2
        left, right = (value * side - across for value in (values[0], values[2]))
        top, bottom = (value * side - down for value in (values[1], values[3]))
        spill = _TOLERANCE * side
        if left < -spill or top < -spill or right > frame.width + spill or bottom > frame.height + spill:
            raise DataError(
                f"the box {said} reaches into the padding; are its numbers shares of the picture (`boxes: picture`)?"
            )
        return Region((left, top, right, bottom), frame)
