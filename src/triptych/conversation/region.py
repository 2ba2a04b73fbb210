"""Regions of a picture, each with the frame that its coordinates are expressed in."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from triptych.conversation.mask import Mask

Box = tuple[float, float, float, float]
Point = tuple[float, float]


@dataclass(frozen=True)
class Frame:
    """The coordinate system of a region: a picture of `width` × `height` pixels, origin at the top left.

    `Frame(1, 1)` is the normalised frame, in which coordinates run from 0 to 1. Pixel i covers `[i, i + 1]`: the whole
    picture is the box `(0, 0, width, height)`.
    """

    width: float
    height: float

    def __post_init__(self) -> None:
        if not (self.width > 0 and self.height > 0):
            raise ValueError(f"a frame needs a positive size, got {self.width} × {self.height}")


NORMALISED = Frame(1.0, 1.0)
THOUSANDTHS = Frame(1000.0, 1000.0)
"""The frame of models that write integers from 0 to 999."""


@dataclass(frozen=True)
class Region:
    """A part of a picture: a box, more exactly a mask where there is one, points where there are any.

    Args:
        box: `(left, top, right, bottom)` in the units of the frame; it may reach beyond the frame (`clip`), and a box
            without area (`is_degenerate`) is one, too.
        frame: What the coordinates are relative to.
        name: The phrase that it belongs to.
        mask: What of the box; it covers the whole frame, at a resolution of its own.
        points: `(x, y)` in the units of the frame.

    Raises:
        ValueError: The corners of the box are in the wrong order, or a coordinate is not finite.
    """

    box: Box
    frame: Frame
    name: str = ""
    mask: Mask | None = None
    points: tuple[Point, ...] = ()

    def __post_init__(self) -> None:
        left, top, right, bottom = self.box
        if not (left <= right and top <= bottom):
            raise ValueError(f"a box is (left, top, right, bottom) with left ≤ right and top ≤ bottom, got {self.box}")
        if not all(map(math.isfinite, (*self.box, *(value for point in self.points for value in point)))):
            raise ValueError(f"coordinates of a region must be finite, got {self.box} {self.points or ''}")

    @classmethod
    def from_corners(cls, corners: Sequence[float], frame: Frame, name: str = "") -> Region:
        """From any two opposite corners `x0, y0, x1, y1`."""
        x0, y0, x1, y1 = corners
        return cls((min(x0, x1), min(y0, y1), max(x0, x1), max(y0, y1)), frame, name)

    @classmethod
    def from_xywh(cls, xywh: Sequence[float], frame: Frame, name: str = "") -> Region:
        """From COCO's `left, top, width, height`."""
        x, y, width, height = xywh
        return cls((x, y, x + width, y + height), frame, name)

    @classmethod
    def from_cxcywh(cls, cxcywh: Sequence[float], frame: Frame, name: str = "") -> Region:
        """From `centre x, centre y, width, height` (DETR, YOLO)."""
        x, y, width, height = cxcywh
        return cls((x - width / 2, y - height / 2, x + width / 2, y + height / 2), frame, name)

    @classmethod
    def from_thousandths(cls, corners: Sequence[float], name: str = "") -> Region:
        """From `x0, y0, x1, y1` in integers from 0 to 999, as Qwen-VL writes them: the frame has 1000 × 1000 units."""
        return cls.from_corners(corners, THOUSANDTHS, name)

    @classmethod
    def from_points(cls, points: Iterable[Point], frame: Frame, name: str = "") -> Region:
        """Points with the box around them (of no area where there is one point)."""
        kept = tuple((float(x), float(y)) for x, y in points)
        if not kept:
            raise ValueError("a region of points needs one at least")
        xs, ys = zip(*kept, strict=True)
        return cls((min(xs), min(ys), max(xs), max(ys)), frame, name, points=kept)

    @classmethod
    def from_mask(cls, mask: Mask, name: str = "") -> Region:
        """A mask with its tight box, in the mask's own frame."""
        return cls(mask.box, Frame(mask.width, mask.height), name, mask)

    @property
    def xywh(self) -> Box:
        """COCO's `left, top, width, height`."""
        left, top, right, bottom = self.box
        return left, top, right - left, bottom - top

    @property
    def cxcywh(self) -> Box:
        """`centre x, centre y, width, height`."""
        left, top, right, bottom = self.box
        return (left + right) / 2, (top + bottom) / 2, right - left, bottom - top

    @property
    def normalised(self) -> Box:
        """`(left, top, right, bottom)` from 0 to 1."""
        return self.to(NORMALISED).box

    @property
    def thousandths(self) -> tuple[int, int, int, int]:
        """`x0, y0, x1, y1` in integers from 0 to 999: each the thousandth of the picture that the coordinate falls in."""
        x0, y0, x1, y1 = (min(999, max(0, math.floor(value))) for value in self.to(THOUSANDTHS).box)
        return x0, y0, x1, y1

    @property
    def centre(self) -> Point:
        """The middle of the box."""
        x, y, _, _ = self.cxcywh
        return x, y

    @property
    def area(self) -> float:
        """Area of the box in squared units of the frame."""
        return (self.box[2] - self.box[0]) * (self.box[3] - self.box[1])

    @property
    def is_degenerate(self) -> bool:
        """Whether the box has no area: a line or a point, or what `clip` leaves of a box outside its frame."""
        return not self.area > 0

    def to(self, frame: Frame) -> Region:
        """The same region expressed in another frame of the same picture, uncropped. (A mask covers either.)"""
        if frame == self.frame:
            return self
        x, y = frame.width / self.frame.width, frame.height / self.frame.height
        left, top, right, bottom = self.box
        points = tuple((px * x, py * y) for px, py in self.points)
        return replace(self, box=(left * x, top * y, right * x, bottom * y), frame=frame, points=points)

    def clip(self) -> Region:
        """The part inside the frame. A box all outside becomes one without area on the frame's nearest edge."""
        left, right = (min(max(value, 0.0), self.frame.width) for value in (self.box[0], self.box[2]))
        top, bottom = (min(max(value, 0.0), self.frame.height) for value in (self.box[1], self.box[3]))
        inside = tuple((x, y) for x, y in self.points if 0 <= x <= self.frame.width and 0 <= y <= self.frame.height)
        return replace(self, box=(left, top, right, bottom), points=inside)

    def iou(self, other: Region) -> float:
        """Intersection over union of the boxes with that of another region of the same picture, in [0, 1]."""
        other = other.to(self.frame)
        width = min(self.box[2], other.box[2]) - max(self.box[0], other.box[0])
        height = min(self.box[3], other.box[3]) - max(self.box[1], other.box[1])
        overlap = max(0.0, width) * max(0.0, height)
        union = self.area + other.area - overlap
        return overlap / union if union > 0 else 0.0

    def contains(self, point: Point) -> bool:
        """Whether a point of the frame is in the mask, or in the box where there is no mask."""
        left, top, right, bottom = self.box
        x, y = point
        if self.mask is None:
            return left <= x <= right and top <= y <= bottom
        pixels = self.mask.decode()
        row = math.floor(y / self.frame.height * len(pixels))
        column = math.floor(x / self.frame.width * pixels.shape[1])
        return 0 <= row < len(pixels) and 0 <= column < pixels.shape[1] and bool(pixels[row, column])
