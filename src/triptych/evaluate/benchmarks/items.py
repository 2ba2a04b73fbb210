"""One question of a benchmark as its files tell it, and the templates over its record."""

from __future__ import annotations

import string
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from triptych.conversation import Image
from triptych.evaluate.tasks.question import Truth

LETTERS = string.ascii_uppercase


@dataclass(frozen=True)
class Item:
    """A question before it is written as a prompt.

    Args:
        id: Unique within the task.
        question: What is asked.
        truth: The true answer; the answers of several people; the references of a caption; the things in a picture.
        images: The pictures.
        kind: Scores are given per kind.
        options: The texts of the options, in order.
        letters: Those of the options, where they are not the first letters of the alphabet.
        facts: What scoring needs beside these; plain values.
        picture: What the item is about: items of one picture are resampled together.
    """

    id: str
    question: str
    truth: Truth
    images: tuple[Image, ...]
    kind: str = ""
    options: tuple[str, ...] = ()
    facts: Mapping[str, Any] = field(default_factory=dict)
    picture: str = ""
    letters: str = ""

    @property
    def choices(self) -> dict[str, str]:
        """The options by letter."""
        return dict(zip(self.letters or LETTERS, self.options, strict=False))


class _Formatter(string.Formatter):
    """Templates over plain keys: no attributes, no calls, so that a task file runs nothing."""

    def get_field(self, field_name: str, args: Sequence[Any], kwargs: Mapping[str, Any]) -> tuple[Any, str]:  # noqa: ARG002
        return take(kwargs, field_name), field_name

    def format_field(self, value: Any, format_spec: str) -> str:
        if value is None or (isinstance(value, float) and value != value):
            return ""
        if format_spec.endswith("d") and isinstance(value, str) and value.strip().isdigit():
            value = int(value)
        return str(super().format_field(value, format_spec))


_FORMATTER = _Formatter()


def fill(template: str, record: Mapping[str, Any]) -> str:
    """A template with values of the record. KeyError: the record lacks one. ValueError: it does not fit the format."""
    return _FORMATTER.vformat(template, (), record)


def take(record: Any, path: str) -> Any:
    """The value at a dotted path; `*` takes every item of a list, `a|b` the first of several paths that is there.

    A path that begins with `=` is a value itself: `hint|=none`.

    Raises:
        KeyError: There is nothing at the path.
    """
    *others, last = path.split("|")
    for other in others:
        try:
            return take(record, other)
        except KeyError:
            continue
    return _take(record, last.split(".") if last else [], path)


def _take(value: Any, keys: Sequence[str], path: str) -> Any:
    if not keys:
        return value
    if keys[0].startswith("="):
        return ".".join(keys)[1:]
    key, rest = keys[0], keys[1:]
    if key == "*":
        if not isinstance(value, list | tuple):
            raise KeyError(path)
        return [_take(item, rest, path) for item in value]
    if isinstance(value, Mapping) and key in value:
        return _take(value[key], rest, path)
    if isinstance(value, list | tuple) and key.lstrip("-").isdigit() and -len(value) <= int(key) < len(value):
        return _take(value[int(key)], rest, path)
    raise KeyError(path)
