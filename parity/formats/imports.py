"""Whole systems in: `triptych import`, then our run against transformers, which reads the same folder."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory

from parity.check import Check
from parity.compare import compare
from parity.formats.asked import asked, their_logits
from parity.tiny.systems import IMAGE, SYSTEMS, saved
from triptych.api import load
from triptych.interchange.importing import import_model
from triptych.weights.quiet import silent


def imported() -> Iterator[Check]:
    """Logits of a question about a picture; for what is not written again as a folder, weights of ours in their class."""
    for name in SYSTEMS:
        with TemporaryDirectory() as place, silent():
            folder = Path(place)
            theirs = saved(name, folder / "theirs")
            import_model(str(folder / "theirs"), folder / "run")
            question = asked(load(folder / "run").model)
            expected = their_logits(theirs, question, IMAGE)
        yield compare(
            f"in: {name}, folder of the hub: logits", f"transformers.{type(theirs).__name__}", question.logits, expected
        )
    yield from _carried_back()


def _carried_back() -> Iterator[Check]:
    """Kosmos-2 and Idefics have no format of export: their own checks put our weights into transformers' classes."""
    from parity.fusions import gated_cross_attention
    from parity.kosmos import kosmos2_logits

    with silent():
        checks = [
            *(("Kosmos-2", check) for check in kosmos2_logits() if check.what.endswith("weights of ours")),
            *(("Idefics", check) for check in gated_cross_attention() if check.what.endswith("carried back")),
        ]
    for name, check in checks:
        variant = f", {check.what.split(', ')[1]}" if name == "Idefics" else ""
        yield replace(check, what=f"out: {name}{variant} (no folder is written; our weights in their class): logits")
