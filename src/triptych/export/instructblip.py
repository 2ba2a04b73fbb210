"""A composed run as `InstructBlipForConditionalGeneration`."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from triptych.export.conversations import Reads, tokenizer_at
from triptych.export.finished import Finished
from triptych.export.qformer import IMAGE, misfits_of, write_system


def misfits(run: Finished) -> Iterator[str]:
    """What of a run it cannot hold."""
    yield from misfits_of(run, "instructblip")


def write(run: Finished, folder: Path, shard: str) -> str:
    """Write it."""
    return write_system(run, folder, shard, "instructblip")


def reads(folder: Path) -> Reads:
    """How transformers reads conversations from what was written."""
    return tokenizer_at(folder, IMAGE)
