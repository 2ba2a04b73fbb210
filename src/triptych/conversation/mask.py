"""Masks of regions: polygons or COCO run lengths, either of which covers the whole picture that it belongs to."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from triptych.conversation import rle

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

Polygon = tuple[float, ...]
"""`x0, y0, x1, y1, …`"""


@dataclass(frozen=True)
class Mask:
    """Which points of a picture belong to something: polygons (their union), or run lengths.

    Args:
        height: Of the picture that the mask covers, in the units of the polygons, or in pixels of the run lengths.
        width: Likewise.
        polygons: Each `x0, y0, x1, y1, …`, three points at least.
        counts: COCO's run lengths, zeros first, column by column; instead of polygons.

    Raises:
        ValueError: There are both, or neither; a polygon has too few points, or one that is not finite; run lengths are of
            another size.
    """

    height: float
    width: float
    polygons: tuple[Polygon, ...] = ()
    counts: tuple[int, ...] | None = None

    def __post_init__(self) -> None:
        if self.height <= 0 or self.width <= 0:
            raise ValueError(f"a mask needs a positive size, got {self.width} × {self.height}")
        if bool(self.polygons) == (self.counts is not None):
            raise ValueError("a mask has either polygons or run lengths")
        for polygon in self.polygons:
            if len(polygon) < 6 or len(polygon) % 2:
                raise ValueError(f"a polygon is x0, y0, x1, y1, … with three points at least, got {polygon}")
            if not all(map(math.isfinite, polygon)):
                raise ValueError(f"the coordinates of a polygon must be finite, got {str(polygon)[:80]}")
        if self.counts is not None and (
            any(count < 0 for count in self.counts) or sum(self.counts) != self.height * self.width
        ):
            raise ValueError(f"runs of {sum(self.counts)} pixels are no mask of {self.width} × {self.height}")

    @classmethod
    def encode(cls, array: NDArray[Any]) -> Mask:
        """The run lengths of an array `[H, W]`; what is not zero is set."""
        import numpy as np

        set_ = np.asarray(array) != 0
        if set_.ndim != 2:
            raise ValueError(f"a mask is [height, width], got an array of shape {set_.shape}")
        height, width = set_.shape
        return cls(height, width, counts=rle.counts_of(set_))

    @classmethod
    def from_coco(cls, segmentation: Any, height: int, width: int) -> Mask:
        """The mask of a COCO annotation's `segmentation`: polygons, run lengths, or run lengths as text.

        Raises:
            ValueError: It is none of these, or a polygon reaches further outside of the picture than the picture is large.
        """
        if isinstance(segmentation, Mapping):
            counts, size = segmentation.get("counts"), segmentation.get("size", (height, width))
            if isinstance(counts, bytes):
                counts = counts.decode("ascii", "replace")
            if isinstance(counts, str):
                counts = rle.decompress(counts)
            if not isinstance(counts, Sequence) or not isinstance(size, Sequence) or len(size) != 2:
                raise ValueError(f"run lengths are {{size: [height, width], counts: …}}, got {str(segmentation)[:80]}")
            return cls(int(size[0]), int(size[1]), counts=tuple(int(count) for count in counts))
        if not isinstance(segmentation, Sequence) or isinstance(segmentation, str):
            raise ValueError(f"a segmentation is polygons or run lengths, got {str(segmentation)[:80]!r}")
        polygons = tuple(tuple(float(value) for value in polygon) for polygon in segmentation if len(polygon) >= 6)
        if not polygons:
            raise ValueError(f"no polygon has three points: {str(segmentation)[:80]}")
        for polygon in polygons:
            for place, value in enumerate(polygon):
                side = height if place % 2 else width
                if not -side <= value <= 2 * side:
                    raise ValueError(f"a polygon of a picture of {width} × {height} reaches {value:g}")
        return cls(height, width, polygons)

    def to_coco(self) -> dict[str, Any]:
        """Run lengths as text, as COCO's results have them; a polygon becomes pixels of its own picture."""
        height, width = round(self.height), round(self.width)
        counts = self.counts if self.counts is not None else rle.counts_of(self.decode())
        return {"size": [height, width], "counts": rle.compress(counts)}

    def decode(self, height: int | None = None, width: int | None = None) -> NDArray[np.bool_]:
        """The pixels `[height, width]`, of the mask's own size by default.

        Polygons are scaled and drawn by COCO's rule; run lengths are looked up at the centres of the pixels.
        """
        import numpy as np

        height = round(self.height) if height is None else height
        width = round(self.width) if width is None else width
        if self.counts is None:
            x, y = width / self.width, height / self.height
            found = np.zeros((height, width), dtype=bool)
            for polygon in self.polygons:
                scaled = [value * (y if place % 2 else x) for place, value in enumerate(polygon)]
                found |= rle.polygon_mask(scaled, height, width)
            return found
        own_height, own_width = int(self.height), int(self.width)
        own = rle.mask_of(self.counts, own_height, own_width)
        if (height, width) == (own_height, own_width):
            return own
        rows = ((np.arange(height) + 0.5) * own_height / height).astype(np.int64)
        columns = ((np.arange(width) + 0.5) * own_width / width).astype(np.int64)
        return own[np.ix_(rows, columns)]

    @property
    def box(self) -> tuple[float, float, float, float]:
        """The tight box `(left, top, right, bottom)` in the mask's own units; all zero where nothing is set."""
        import numpy as np

        if self.counts is None:
            xs = [value for polygon in self.polygons for value in polygon[0::2]]
            ys = [value for polygon in self.polygons for value in polygon[1::2]]
            return min(xs), min(ys), max(xs), max(ys)
        pixels = self.decode()
        rows, columns = np.flatnonzero(pixels.any(axis=1)), np.flatnonzero(pixels.any(axis=0))
        if not len(rows):
            return 0.0, 0.0, 0.0, 0.0
        return float(columns[0]), float(rows[0]), float(columns[-1] + 1), float(rows[-1] + 1)

    @property
    def area(self) -> float:
        """How many pixels of its own size are set."""
        return float(sum(self.counts[1::2])) if self.counts is not None else float(self.decode().sum())

    def iou(self, other: Mask) -> float:
        """Intersection over union with another mask of the same picture, at this mask's size; 0 where both are empty."""
        height, width = round(self.height), round(self.width)
        mine, theirs = self.decode(height, width), other.decode(height, width)
        union = int((mine | theirs).sum())
        return int((mine & theirs).sum()) / union if union else 0.0
