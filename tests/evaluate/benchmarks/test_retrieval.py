"""Retrieval benchmarks: directions that tell find everything, directions that do not find what chance finds."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from triptych.conversation import Image
from triptych.errors import EvaluationError
from triptych.evaluate.benchmarks import catalogue
from triptych.evaluate.benchmarks.readers import read
from triptych.evaluate.benchmarks.run import Options, run_benchmark
from triptych.evaluate.responders.degenerate import Degenerate

Directions = np.ndarray[Any, np.dtype[np.float64]]


class Knows:
    """Gives a picture and its captions one direction; or, blind, everything the same."""

    def __init__(self, data: Path, blind: bool = False) -> None:
        items = read(catalogue.load("flickr30k-retrieval"), data)
        self.place = {str(item.images[0]): n for n, item in enumerate(items)}
        self.place |= {text: n for n, item in enumerate(items) for text in item.truth}
        self.count, self.blind = len(items), blind

    def _rows(self, keys: Sequence[str]) -> Directions:
        return np.ones((len(keys), self.count)) if self.blind else np.eye(self.count)[[self.place[key] for key in keys]]

    def images(self, pictures: Sequence[Image]) -> Directions:
        return self._rows([str(picture) for picture in pictures])

    def texts(self, texts: Sequence[str]) -> Directions:
        return self._rows(list(texts))

    features = images


def test_who_knows_finds_everything(data: Path, tmp_path: Path) -> None:
    file = catalogue.load("flickr30k-retrieval")
    done = run_benchmark(file, Knows(data), tmp_path, "x", Options(data=data))
    assert done.metrics[file.headline].value > 0.8  # captions that two pictures share are right for both
    assert done.facts["pool"] == done.samples == 8
    blind = run_benchmark(file, Knows(data, blind=True), tmp_path / "blind", "y", Options(data=data))
    assert blind.metrics[file.headline].low <= blind.chance[file.headline] + 1e-9


def test_who_answers_is_sent_away(data: Path, tmp_path: Path) -> None:
    with pytest.raises(EvaluationError, match="only a dual encoder"):
        run_benchmark(catalogue.load("flickr30k-retrieval"), Degenerate("empty"), tmp_path, "x", Options(data=data))
    with pytest.raises(EvaluationError, match="answers nothing"):
        run_benchmark(catalogue.load("gqa"), Knows(data), tmp_path, "x", Options(data=data))
