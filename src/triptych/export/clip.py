"""A dual encoder as transformers' `CLIP` model."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from triptych.export.dual import misfits_of, write_dual
from triptych.export.finished import Finished


def misfits(run: Finished) -> Iterator[str]:
    """What of a run CLIP cannot hold."""
    yield from misfits_of(run, "CLIP")


def write(run: Finished, folder: Path, shard: str) -> str:
    """Write it."""
    return write_dual(run, folder, shard, "CLIP")
