"""The regions of records, and how they overlap."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from triptych.conversation import NORMALISED, Frame, Region
from triptych.evaluate.tasks.question import Record
from triptych.grounding.metrics import box_ious
from triptych.grounding.serial import region_of

CAPTION = "caption"
"""The kind of record that is a grounded caption, not an expression."""

HIT = 0.5
"""The IoU from which a region counts as found."""

Floats = NDArray[np.float64]


def regions_of(record: Record) -> tuple[list[Region], list[Region]]:
    """The true regions of a record and those of its answer, the surest first, all in the frame of `frame_of`."""
    held: Mapping[str, Any] = record.regions or {}
    answered = sorted(held.get("found", ()), key=lambda values: -float(values.get("score", 1.0)))
    frame = frame_of(record)
    truths, regions = ([region_of(values).to(frame) for values in each] for each in (held.get("truth", ()), answered))
    return truths, regions


def frame_of(record: Record) -> Frame:
    """The pixels of the picture shown; of records without its size, what the first region is counted in."""
    held: Mapping[str, Any] = record.regions or {}
    holders = (held, *held.get("truth", ()), *held.get("found", ()))
    size = next((values["size"] for values in holders if "size" in values), None)
    return Frame(*map(float, size)) if size else NORMALISED


def ious(regions: Sequence[Region], truths: Sequence[Region]) -> Floats:
    """Overlaps of boxes, `[regions, truths]`."""
    return box_ious(np.array([r.box for r in regions]), np.array([r.box for r in truths]))


def filled(regions: Sequence[Region], frame: Frame) -> NDArray[np.bool_]:
    """The union of regions as pixels of a frame; a region without a mask is its whole box."""
    height, width = max(1, round(frame.height)), max(1, round(frame.width))
    pixels = np.zeros((height, width), bool)
    for region in regions:
        if region.mask is not None:
            pixels |= region.mask.decode(height, width)
        else:
            left, top, right, bottom = (round(value) for value in region.to(frame).clip().box)
            pixels[top:bottom, left:right] = True
    return pixels


def alike(one: str, other: str) -> float:
    """F1 of the words of two phrases, without articles and case, in [0, 1]."""
    a, b = (Counter(word for word in text.lower().split() if word not in ("a", "an", "the")) for text in (one, other))
    both = sum((a & b).values())
    return 2 * both / (a.total() + b.total()) if both else 0.0
