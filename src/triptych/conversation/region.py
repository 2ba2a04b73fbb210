"""Regions of a picture, each with the frame that its coordinates are expressed in."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Frame:
    """The coordinate system of a region: a picture of `width` × `height` pixels, origin at the top left.

    `Frame(1, 1)` is the normalised frame, in which coordinates run from 0 to 1.
    """

    width: float
    height: float

    def __post_init__(self) -> None:
        if self.width <= 0 or self.height <= 0:
            raise ValueError(f"a frame needs a positive size, got {self.width} × {self.height}")


NORMALISED = Frame(1.0, 1.0)


@dataclass(frozen=True)
class Region:
    """An axis-aligned box `(left, top, right, bottom)` in the units of its frame, optionally with a name."""

    box: tuple[float, float, float, float]
    frame: Frame
    name: str = ""

    def __post_init__(self) -> None:
        left, top, right, bottom = self.box
        if not (left <= right and top <= bottom):
            raise ValueError(f"a box is (left, top, right, bottom) with left ≤ right and top ≤ bottom, got {self.box}")

    def to(self, frame: Frame) -> Region:
        """The same region expressed in another frame of the same picture."""
        x, y = frame.width / self.frame.width, frame.height / self.frame.height
        left, top, right, bottom = self.box
        return Region((left * x, top * y, right * x, bottom * y), frame, self.name)

    def iou(self, other: Region) -> float:
        """Intersection over union with another region of the same picture, in [0, 1]."""
        other = other.to(self.frame)
        width = min(self.box[2], other.box[2]) - max(self.box[0], other.box[0])
        height = min(self.box[3], other.box[3]) - max(self.box[1], other.box[1])
        overlap = max(0.0, width) * max(0.0, height)
        union = self.area + other.area - overlap
        return overlap / union if union > 0 else 0.0

    @property
    def area(self) -> float:
        """Area in squared units of the frame."""
        return (self.box[2] - self.box[0]) * (self.box[3] - self.box[1])
