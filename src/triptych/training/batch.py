"""What the loop needs to know of a batch, whatever it holds."""

from __future__ import annotations

from typing import TypeAlias

from triptych.sequence.detection import DetectionBatch
from triptych.sequence.pack import Batch
from triptych.sequence.pairs import PairBatch

AnyBatch: TypeAlias = Batch | PairBatch | DetectionBatch
"""Rows with conversations, tokens and things to learn, that can be cut apart."""
