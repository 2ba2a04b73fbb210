"""COCO's run-length encoding of masks, to the bit (`cocoapi`, maskApi.c): runs of zeros and ones in turn, column by column.

polygon ──► counts ──► mask [H, W]            "compressed" counts are the same numbers written as text
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

_UPSAMPLED = 5.0


def counts_of(mask: NDArray[np.bool_]) -> tuple[int, ...]:
    """Runs of a mask `[H, W]`: zeros first (none, where the first pixel is set)."""
    import numpy as np

    flat = np.asarray(mask, dtype=bool).flatten(order="F")
    if not len(flat):
        return (0,)
    changes = np.flatnonzero(flat[1:] != flat[:-1]) + 1
    runs = np.diff(np.concatenate([[0], changes, [len(flat)]]))
    return (*((0,) if flat[0] else ()), *(int(run) for run in runs))


def mask_of(counts: Sequence[int], height: int, width: int) -> NDArray[np.bool_]:
    """The mask `[height, width]` of runs.

    Raises:
        ValueError: The runs are not those of a picture of this size.
    """
    import numpy as np

    if any(count < 0 for count in counts) or sum(counts) != height * width:
        raise ValueError(f"runs of {sum(counts)} pixels are no mask of {width} × {height}")
    values = np.arange(len(counts)) % 2 == 1
    return np.repeat(values, np.asarray(counts, dtype=np.int64)).reshape((height, width), order="F")


def compress(counts: Sequence[int]) -> str:
    """Runs as COCO's text: differences to the run before the last, five bits a character, lowest first."""
    out = []
    for place, count in enumerate(counts):
        value = int(count) - (int(counts[place - 2]) if place > 2 else 0)
        more = True
        while more:
            bits = value & 0x1F
            value >>= 5
            more = value != -1 if bits & 0x10 else value != 0
            out.append(chr((bits | 0x20 if more else bits) + 48))
    return "".join(out)


def decompress(text: str) -> tuple[int, ...]:
    """Runs of COCO's text.

    Raises:
        ValueError: It is not such text.
    """
    counts: list[int] = []
    value = shift = 0
    for character in text:
        code = ord(character) - 48
        if not 0 <= code < 64 or shift > 60:
            raise ValueError(f"no run-length text: {text[:40]!r}")
        value |= (code & 0x1F) << shift
        shift += 5
        if not code & 0x20:
            if code & 0x10:
                value -= 1 << shift
            counts.append(value + (counts[-2] if len(counts) > 2 else 0))
            value = shift = 0
    if shift:
        raise ValueError(f"run-length text breaks off: {text[-40:]!r}")
    return tuple(counts)


def polygon_mask(xy: Sequence[float], height: int, width: int) -> NDArray[np.bool_]:
    """The mask `[height, width]` of one polygon `x0, y0, x1, y1, …` in pixels, by the official rule (`rleFrPoly`)."""
    import numpy as np

    # Truncation towards zero, as C's cast from double to int does.
    x = np.trunc(_UPSAMPLED * np.asarray(xy[0::2], dtype=np.float64) + 0.5).astype(np.int64)
    y = np.trunc(_UPSAMPLED * np.asarray(xy[1::2], dtype=np.float64) + 0.5).astype(np.int64)
    edges = [_edge(x[i], y[i], x[(i + 1) % len(x)], y[(i + 1) % len(x)]) for i in range(len(x))]
    u, v = (np.concatenate([edge[axis] for edge in edges]) for axis in (0, 1))
    crossing = np.flatnonzero(u[1:] != u[:-1]) + 1
    left = np.where(u[crossing] < u[crossing - 1], u[crossing], u[crossing] - 1)
    columns = (left + 0.5) / _UPSAMPLED - 0.5
    rows = (np.minimum(v[crossing], v[crossing - 1]) + 0.5) / _UPSAMPLED - 0.5
    inside = (np.floor(columns) == columns) & (columns >= 0) & (columns <= width - 1)
    tops = np.ceil(np.clip(rows[inside], 0, height)).astype(np.int64)
    flips = np.bincount(columns[inside].astype(np.int64) * height + tops, minlength=height * width + 1)
    inside_out: NDArray[np.bool_] = np.cumsum(flips[: height * width]) % 2 == 1
    return inside_out.reshape((height, width), order="F")


def _edge(x0: int, y0: int, x1: int, y1: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """The points of an edge on the upsampled grid, from its first end to its second."""
    import numpy as np

    across, down = abs(x1 - x0), abs(y1 - y0)
    flip = (across >= down and x0 > x1) or (across < down and y0 > y1)
    if flip:
        x0, y0, x1, y1 = x1, y1, x0, y0
    steps = np.arange(max(across, down) + 1)
    if across >= down:
        slope = (y1 - y0) / across if across else 0.0
        u, v = x0 + steps, np.trunc(y0 + slope * steps + 0.5).astype(np.int64)
    else:
        slope = (x1 - x0) / down
        u, v = np.trunc(x0 + slope * steps + 0.5).astype(np.int64), y0 + steps
    return (u[::-1], v[::-1]) if flip else (u, v)
