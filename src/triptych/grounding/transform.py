"""Regions through every preparation of pictures, and back: exact affine maps from one frame to another.

    picture (640 × 480) ──resize──► 384 × 288 ──pad──► 384 × 384        x' = scale · x + offset, per axis
                        ◄────────── inverse ──────────

Pixel i covers `[i, i + 1]`, so resizing is a multiplication; nothing is half a pixel off.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from math import ceil

from triptych.conversation import Frame, Mask, Region
from triptych.conversation.region import Box, Point


@dataclass(frozen=True)
class Transform:
    """A map of a source frame's coordinates into those of a target frame: `x' = scale · x + offset`.

    What falls outside the target (a crop) keeps its coordinates there; `Region.clip` cuts it off.

    Args:
        source: Whose coordinates go in.
        target: Whose coordinates come out.
        scale: Of x and y, each above zero.
        offset: Of x and y, in units of the target.
    """

    source: Frame
    target: Frame
    scale: tuple[float, float] = (1.0, 1.0)
    offset: tuple[float, float] = (0.0, 0.0)

    def __post_init__(self) -> None:
        if not (self.scale[0] > 0 and self.scale[1] > 0):
            raise ValueError(f"the scale of a transform must be above zero, got {self.scale}")

    @classmethod
    def identity(cls, frame: Frame) -> Transform:
        """Nothing moves."""
        return cls(frame, frame)

    @classmethod
    def resize(cls, frame: Frame, width: float, height: float) -> Transform:
        """The whole picture at another size, each axis scaled by itself."""
        return cls(frame, Frame(width, height), (width / frame.width, height / frame.height))

    @classmethod
    def crop(cls, frame: Frame, box: Box) -> Transform:
        """The part of the picture inside a box, in the frame's units."""
        left, top, right, bottom = box
        return cls(frame, Frame(right - left, bottom - top), offset=(-left, -top))

    @classmethod
    def pad(cls, frame: Frame, width: float, height: float, left: float, top: float) -> Transform:
        """The picture on a larger canvas, its corner at `(left, top)`."""
        return cls(frame, Frame(width, height), offset=(left, top))

    @classmethod
    def tiles(cls, frame: Frame, side: float) -> tuple[Transform, ...]:
        """The squares of `side` that the picture is cut into, row by row; the last ones reach beyond it."""
        rows, columns = ceil(frame.height / side), ceil(frame.width / side)
        boxes = [(c * side, r * side, (c + 1) * side, (r + 1) * side) for r in range(rows) for c in range(columns)]
        return tuple(cls.crop(frame, box) for box in boxes)

    def then(self, other: Transform) -> Transform:
        """This, and behind it another one, whose source is this one's target up to the unit of length."""
        unit = (other.source.width / self.target.width, other.source.height / self.target.height)
        scale = tuple(a * u * b for a, u, b in zip(self.scale, unit, other.scale, strict=True))
        offset = tuple(a * u * b + c for a, u, b, c in zip(self.offset, unit, other.scale, other.offset, strict=True))
        return Transform(self.source, other.target, (scale[0], scale[1]), (offset[0], offset[1]))

    @property
    def inverse(self) -> Transform:
        """The way back."""
        (sx, sy), (ox, oy) = self.scale, self.offset
        return Transform(self.target, self.source, (1 / sx, 1 / sy), (-ox / sx, -oy / sy))

    def point(self, point: Point) -> Point:
        """Where a point of the source is in the target."""
        (sx, sy), (ox, oy) = self.scale, self.offset
        return point[0] * sx + ox, point[1] * sy + oy

    def __call__(self, region: Region) -> Region:
        """A region of the source (in any frame of that picture) as one of the target, not clipped.

        A mask of polygons is moved exactly; run lengths are looked up anew at the target's pixels.
        """
        region = region.to(self.source)
        left, top, right, bottom = region.box
        mask = self._mask(region.mask) if region.mask is not None else None
        points = tuple(self.point(point) for point in region.points)
        box = (*self.point((left, top)), *self.point((right, bottom)))
        return replace(region, box=box, frame=self.target, mask=mask, points=points)

    def back(self, region: Region) -> Region:
        """A region of the target as one of the source, not clipped."""
        return self.inverse(region)

    def _mask(self, mask: Mask) -> Mask:
        """A mask of the source, which it covers, as one that covers the target."""
        x, y = self.source.width / mask.width, self.source.height / mask.height
        if mask.counts is None:
            polygons = []
            for polygon in mask.polygons:
                corners = zip(polygon[0::2], polygon[1::2], strict=True)
                moved = [self.point((px * x, py * y)) for px, py in corners]
                polygons.append(tuple(value for corner in moved for value in corner))
            return Mask(self.target.height, self.target.width, tuple(polygons))
        import numpy as np

        pixels = mask.decode()
        height, width = max(1, round(self.target.height)), max(1, round(self.target.width))
        back = self.inverse
        centres_x = (np.arange(width) + 0.5) * self.target.width / width * back.scale[0] + back.offset[0]
        centres_y = (np.arange(height) + 0.5) * self.target.height / height * back.scale[1] + back.offset[1]
        columns = np.floor(centres_x / x).astype(np.int64)
        rows = np.floor(centres_y / y).astype(np.int64)
        inside_x, inside_y = (columns >= 0) & (columns < pixels.shape[1]), (rows >= 0) & (rows < len(pixels))
        found = pixels[np.ix_(rows.clip(0, len(pixels) - 1), columns.clip(0, pixels.shape[1] - 1))]
        return Mask.encode(found & inside_y[:, None] & inside_x)
