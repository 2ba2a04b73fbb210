"""Pieces that several formats share."""

from __future__ import annotations

from collections.abc import Mapping

from triptych.weights.formats.format import Parts


def prefixed(table: Mapping[str, str], theirs: str, ours: str) -> dict[str, str]:
    """A table of names with something in front of each."""
    return {f"{theirs}{their}": f"{ours}{our}" for their, our in table.items()}


def separate(blocks: str) -> tuple[Parts, ...]:
    """Queries, keys and values of attention in matrices of their own, each with a bias."""
    return tuple(
        Parts(f"{blocks}.attention.qkv.{kind}", tuple(f"{blocks}.attention.{part}.{kind}" for part in _QKV))
        for kind in ("weight", "bias")
    )


_QKV = ("query", "key", "value")
