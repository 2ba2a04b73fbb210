"""Carrying weights over by name, in both directions: one table of patterns is read forwards and backwards.

NameMap({"bert.layer.{}.query": "layers.{}.self_attention.query", …})
    .ours(their state)   ──► our state
    .theirs(our state)   ──► their state
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TypeVar

from triptych.errors import WeightsError

T = TypeVar("T")


@dataclass(frozen=True)
class NameMap:
    """Their names to ours.

    Args:
        patterns: Beginnings of names, cut at dots; each `{}` stands for one number, the same on both sides. What follows
            the beginning (`.weight`, `.bias`) is kept. The longest pattern that fits decides.
        ignored: Beginnings of their names that have no counterpart here (buffers, unused heads), with `{}` likewise.
    """

    patterns: Mapping[str, str]
    ignored: tuple[str, ...] = field(default=())

    def ours(self, state: Mapping[str, T]) -> dict[str, T]:
        """Our names for their tensors.

        Raises:
            WeightsError: A name fits no pattern, or two names become one.
        """
        ignored = [_expression(start) for start in self.ignored]
        kept = {name: tensor for name, tensor in state.items() if not any(rule.match(name) for rule in ignored)}
        return _renamed(kept, self.patterns)

    def theirs(self, state: Mapping[str, T]) -> dict[str, T]:
        """Their names for our tensors.

        Raises:
            WeightsError: A name fits no pattern, or two names become one.
        """
        return _renamed(state, {mine: other for other, mine in self.patterns.items()})


def _renamed(state: Mapping[str, T], patterns: Mapping[str, str]) -> dict[str, T]:
    rules = [(_expression(start), end) for start, end in sorted(patterns.items(), key=lambda item: -len(item[0]))]
    renamed: dict[str, T] = {}
    for name, tensor in state.items():
        new = next((_filled(end, found) for rule, end in rules if (found := rule.match(name))), None)
        if new is None:
            raise WeightsError(f"{name}: no counterpart is known for a tensor of this name")
        if new in renamed:
            raise WeightsError(f"{name}: becomes {new}, which another tensor is already")
        renamed[new] = tensor
    return renamed


def _expression(pattern: str) -> re.Pattern[str]:
    return re.compile("(\\d+)".join(map(re.escape, pattern.split("{}"))) + r"(?P<rest>$|\..*)")


def _filled(pattern: str, found: re.Match[str]) -> str:
    *numbers, rest = found.groups()
    return pattern.format(*numbers) + rest
