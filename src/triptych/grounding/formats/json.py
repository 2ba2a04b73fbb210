"""Regions as JSON, as chat models write them: a list of objects with a box in integers from 0 to 999, and a label.

    [{"bbox": [123, 456, 789, 900], "label": "the dog"}]

A point is `{"point": [x, y], …}`. No token is added. Other models' keys (`bbox_2d`, `box`, `box_2d`, …) are read, too,
and so are shares from 0 to 1, which are told by their point.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterator, Sequence
from typing import Any

from triptych.conversation import Region
from triptych.grounding.formats.format import OTHER_UNIT, Parsed, numbers_of, possible, region_of, verdict_of
from triptych.grounding.formats.qwen import middle, thousandth
from triptych.grounding.grounding import encodable
from triptych.language.regions import Token

KEYS = ("bbox", "point", "bbox_2d", "box", "box_2d", "point_2d", "bounding_box")
LABELS = ("label", "name", "phrase", "description")

_LOOSE = re.compile(r"[\[(]\s*(-?\d{1,9}(?:\.\d{1,9})?(?:\s*,\s*-?\d{1,9}(?:\.\d{1,9})?){1,3})")
_LABEL = re.compile(r"[\"'](?:label|name|phrase|description)[\"']\s*:\s*[\"']([^\"']{0,200})")
_TRACE = re.compile(r"[\[{]|\d\s*,\s*\d")


class Json:
    """The format."""

    bins = 0
    tokens: tuple[str, ...] = ()

    def write(self, phrase: str, regions: Sequence[Region]) -> list[str | Token]:
        """A list with one object per region; the phrase is their label, and stands nowhere else."""
        found = []
        for region in regions:
            numbers = [thousandth(number) for number in numbers_of(region)]
            label = {"label": phrase} if phrase else {}
            found.append({("bbox" if len(numbers) == 4 else "point"): numbers} | label)
        return [json.dumps(found, ensure_ascii=False)]

    def parse(self, text: str) -> Parsed:
        """JSON wherever it stands in the text; what is not JSON, but has two or four numbers in brackets, is repaired."""
        regions: list[Region] = []
        words, at, strict, reason = [], 0, True, ""
        for start, end, value in _values(text):
            words.append(text[at:start])
            at = end
            for item in value if isinstance(value, list) else [value]:
                region, right = _item(item)
                reason = OTHER_UNIT if region is None and _elsewhere(item) else reason
                strict &= right and isinstance(value, list)
                regions += [region] if region is not None else []
        words.append(text[at:])
        if _TRACE.search("".join(words)):
            strict = False
        if not regions:
            strict = False
            label = _LABEL.search(text)
            for match in _LOOSE.finditer(text):
                numbers = [_number(digits) for digits in match.group(1).split(",")]
                shares = _shares(numbers[: len(numbers) // 2 * 2])
                if possible(shares):
                    regions.append(region_of(shares, encodable(label[1]) if label else "")[0])
                else:
                    reason = OTHER_UNIT
        said = "".join(words)
        return Parsed(tuple(regions), said, verdict_of(regions, strict, bool(_TRACE.search(text))), reason)


def _values(text: str) -> Iterator[tuple[int, int, Any]]:
    """The JSON values that begin with a bracket, with where they stand; tries a bounded number of places."""
    decoder = json.JSONDecoder()
    at = tries = 0
    while tries < 64 and (match := re.compile(r"[\[{]").search(text, at)):
        tries += 1
        try:
            value, end = decoder.raw_decode(text, match.start())
        except (ValueError, RecursionError):
            at = match.start() + 1
            continue
        if _has_box(value):
            yield match.start(), end, value
        at = end if _has_box(value) else match.start() + 1


def _has_box(value: Any) -> bool:
    """Whether a JSON value is an object with a box, or a list that holds some."""
    items = value if isinstance(value, list) else [value]
    return any(isinstance(item, dict) and any(key in item for key in KEYS) for item in items)


def _item(item: Any) -> tuple[Region | None, bool]:
    """The region of one object, and whether it is written by the rules."""
    if not isinstance(item, dict):
        return None, False
    key = next((key for key in KEYS if key in item), None)
    numbers = item[key] if key is not None else None
    usual = isinstance(numbers, list) and all(_is_number(n) for n in numbers)
    if not usual or not isinstance(numbers, list) or len(numbers) not in (2, 4):
        return None, False
    if not possible(_shares([min(1e9, max(-1e9, number)) for number in numbers])):
        return None, False
    label = encodable(next((item[name] for name in LABELS if isinstance(item.get(name), str)), ""))
    in_range = all(abs(number) < 1e9 for number in numbers)
    region, repaired = region_of(_shares([min(1e9, max(-1e9, number)) for number in numbers]), label)
    right = key == ("bbox" if len(numbers) == 4 else "point") and set(item) <= {key, "label"} and in_range
    return region, right and not repaired and all(type(number) is int for number in numbers)


def _elsewhere(item: Any) -> bool:
    """Whether an object has the numbers of a box, and they lie far beyond the picture."""
    numbers = next((item[key] for key in KEYS if key in item), None) if isinstance(item, dict) else None
    return isinstance(numbers, list) and len(numbers) in (2, 4) and all(map(_is_number, numbers))


def _shares(numbers: Sequence[int | float]) -> list[float]:
    """Shares of the frame: thousandths, but where some are written with a point and none goes beyond 1, these are shares."""
    if any(type(number) is float for number in numbers) and all(abs(number) <= 1 for number in numbers):
        return [float(number) for number in numbers]
    return [middle(float(number)) for number in numbers]


def _number(digits: str) -> int | float:
    return float(digits) if "." in digits else int(digits)


def _is_number(value: Any) -> bool:
    """Whether a value is a finite number. An integer is one however many digits it has, and may fit into no float."""
    return type(value) is int or (type(value) is float and math.isfinite(value))
