"""Regions as plain values, for JSON: boxes in the units of their frame, masks as COCO's run lengths."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from triptych.conversation import Frame, Region
from triptych.conversation.mask import Mask
from triptych.grounding.grounding import Grounding

DIGITS = 2
"""Of coordinates in pixels, at least: a hundredth of one. Smaller frames have more, shares six."""


def region_values(region: Region, score: float | None = None) -> dict[str, Any]:
    """`{box, size}` and, where there are any, `name`, `score`, `points` and `mask` (`{size, counts}`)."""
    digits = max(DIGITS, 6 - 2 * math.floor(math.log10(min(region.frame.width, region.frame.height))))
    values: dict[str, Any] = {"box": [round(value, digits) for value in region.box]}
    values["size"] = [_plain(region.frame.width), _plain(region.frame.height)]
    if region.name:
        values["name"] = region.name
    if score is not None:
        values["score"] = round(score, 4)
    if region.points:
        values["points"] = [[round(value, digits) for value in point] for point in region.points]
    if region.mask is not None:
        values["mask"] = region.mask.to_coco()
    return values


def region_of(values: Mapping[str, Any]) -> Region:
    """A region from what `region_values` made of it.

    Raises:
        KeyError, ValueError, TypeError: These are not its values.
    """
    left, top, right, bottom = (float(value) for value in values["box"])
    width, height = values["size"]
    mask = values.get("mask")
    return Region(
        (left, top, right, bottom),
        Frame(float(width), float(height)),
        str(values.get("name", "")),
        Mask.from_coco(mask, round(height), round(width)) if mask is not None else None,
        tuple((float(x), float(y)) for x, y in values.get("points", ())),
    )


def grounding_values(grounding: Grounding) -> dict[str, Any]:
    """What a grounder answered: `{regions, verdict, text}`."""
    pairs = zip(grounding.regions, grounding.scores, strict=True)
    return {
        "regions": [region_values(region, score) for region, score in pairs],
        "verdict": grounding.verdict,
        "text": grounding.text,
    }


def _plain(value: float) -> float:
    return int(value) if value == int(value) else value
