"""A dual encoder as transformers' `SigLIP` model."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from triptych.export.dual import misfits_of, write_dual
from triptych.export.finished import Finished


def misfits(run: Finished) -> Iterator[str]:
    """What of a run SigLIP cannot hold."""
    yield from misfits_of(run, "SigLIP")


def write(run: Finished, folder: Path, shard: str) -> str:
    """Write it."""
    return write_dual(run, folder, shard, "SigLIP")
