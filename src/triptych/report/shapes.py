"""What a report reads of a run's files, as shapes; what has another shape is left out with a note.

A file that was damaged or written by another program may hold anything; a report of the rest is worth more than none.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from triptych.errors import quoted

Shape = Any
"""`{key: shape}`, `{ANY: shape}` for a mapping of any keys, `[shape]` for a list, `{}` and `[]` for any content, None for anything."""

ANY = "*"
_SCORES: Shape = {ANY: None}

INFO: Shape = {"stages": [{"parts": [{}]}], "hardware": {}, "versions": {}, "model": {}}
RESULTS: Shape = {
    "hardware": {},
    "versions": {},
    "model": {},
    "tasks": {
        ANY: {
            "metrics": _SCORES,
            "control": _SCORES,
            "chance": _SCORES,
            "baselines": {ANY: {"metrics": _SCORES, "difference": _SCORES}},
            "rules": {ANY: {"metrics": _SCORES, "unparsed": {}}},
            "unparsed": {"by_kind": {}},
            "parser": None,
            "failed": {},
            "generation": {},
            "facts": {},
        }
    },
}
_PART: Shape = {"architecture": {}}
RECIPE: Shape = {
    "model": {
        "encoders": {ANY: _PART}, "adapters": {ANY: _PART}, "language": _PART, "fusion": {}, "vision": _PART, "text": _PART,
        "encoder": _PART, "qformer": _PART, "regions": {},
    },
    "data": {ANY: {}},
}  # fmt: skip
RECORD: Shape = {"facts": {"images": []}, "regions": {"truth": [{}], "found": [{}], "size": []}}


def fitting(value: Any, shape: Shape, where: str, notes: list[str]) -> Any:
    """A value without what does not have its shape. Null is nothing, which everything may be.

    Args:
        value: Of a file.
        shape: What is expected.
        where: The file and the place in it, for notes.
        notes: What was left out is added here.
    """
    if isinstance(shape, dict) and isinstance(value, Mapping):
        inner = {key: (item, shape.get(key, shape.get(ANY))) for key, item in value.items()}
        return {
            key: fitting(item, own, f"{where}.{key}", notes)
            for key, (item, own) in inner.items()
            if _fits(item, own, f"{where}.{key}", notes)
        }
    if isinstance(shape, list) and shape and isinstance(value, list):
        (own,) = shape
        return [
            fitting(item, own, f"{where}.{i}", notes)
            for i, item in enumerate(value)
            if item is not None and _fits(item, own, f"{where}.{i}", notes)
        ]
    return value


def _fits(value: Any, shape: Shape, where: str, notes: list[str]) -> bool:
    expected = "an object" if isinstance(shape, dict) else "a list" if isinstance(shape, list) else None
    if expected is None or value is None or isinstance(value, Mapping if isinstance(shape, dict) else list):
        return True
    notes.append(f"{where[:200]}: expected {expected}, got {quoted(value, 40)}; left out")
    return False
