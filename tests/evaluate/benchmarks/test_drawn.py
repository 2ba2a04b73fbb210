"""Drawing benchmarks: the real pictures are nearest to themselves, and a picture fits its own text best."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image as Pillow

from triptych.conversation import Image
from triptych.errors import DataError, EvaluationError
from triptych.evaluate.benchmarks import catalogue
from triptych.evaluate.benchmarks.drawn import Drawn
from triptych.evaluate.benchmarks.run import Options, run_benchmark
from triptych.evaluate.embedding.extractor import Extractor
from triptych.evaluate.metrics.images import distance, frechet_distance, halves
from triptych.evaluate.responders.degenerate import Degenerate

Floats = np.ndarray[Any, np.dtype[np.floating[Any]]]
COUNT = 40


class Colours:
    """A picture is its mean colour, and so is a text that names three numbers."""

    def features(self, pictures: Sequence[Image]) -> Floats:
        return np.stack([np.asarray(picture.open().convert("RGB"), dtype=float).mean((0, 1)) for picture in pictures])

    def images(self, pictures: Sequence[Image]) -> Floats:
        found = self.features(pictures)
        return found / np.linalg.norm(found, axis=1, keepdims=True)

    def texts(self, texts: Sequence[str]) -> Floats:
        found = np.array([[float(word) for word in text.split()] for text in texts])
        return found / np.linalg.norm(found, axis=1, keepdims=True)

    def text_features(self, texts: Sequence[str]) -> Floats:
        return self.texts(texts)


@pytest.fixture(scope="module")
def coloured(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """COCO's files of plain pictures, whose captions are their colours."""
    root = tmp_path_factory.mktemp("drawn")
    (root / "coco/annotations").mkdir(parents=True)
    (root / "coco/val2014").mkdir()
    colours = np.random.default_rng(0).integers(20, 235, (COUNT, 3))
    for n, colour in enumerate(colours):
        Pillow.new("RGB", (8, 8), tuple(colour.tolist())).save(root / "coco/val2014" / f"{n}.png")
    (root / "coco/annotations/captions_val2014.json").write_text(
        json.dumps(
            {
                "images": [{"id": n, "file_name": f"{n}.png"} for n in range(COUNT)],
                "annotations": [
                    {"image_id": n, "caption": "{} {} {}".format(*c)} for n, c in enumerate(colours.tolist())
                ],
            }
        )
    )
    return root


def drawn(folder: Path, data: Path, change: int = 0, count: int = COUNT) -> Path:
    folder.mkdir()
    for n in range(count):
        pixels = np.asarray(Pillow.open(data / "coco/val2014" / f"{n}.png"), dtype=int)
        Pillow.fromarray((pixels + change).clip(0, 255).astype(np.uint8)).save(folder / f"{n}.png")
    return folder


def test_what_is_near_the_real_pictures_is_nearer(coloured: Path, tmp_path: Path) -> None:
    file, extractor, options = (
        catalogue.load("coco-images"),
        Extractor("colours", "x", both=Colours()),
        Options(coloured),
    )
    same = run_benchmark(file, Drawn(drawn(tmp_path / "same", coloured), extractor), tmp_path, "same", options)
    assert same.metrics["fid"].value == pytest.approx(0, abs=1e-6)
    assert same.metrics["clip_score"].value == pytest.approx(2.5)
    assert same.control["clip_score"].high < 2.5
    assert same.facts["extractor"] == "colours" and same.facts["fid_between_real_halves"] > 0
    shifted = run_benchmark(
        file, Drawn(drawn(tmp_path / "shifted", coloured, 10), extractor), tmp_path, "shifted", options
    )
    assert shifted.metrics["fid"].value == pytest.approx(3 * 100, rel=1e-6)
    some = run_benchmark(
        file, Drawn(drawn(tmp_path / "some", coloured, count=30), extractor), tmp_path, "some", options
    )
    assert some.failed == {"no picture was made": 10} and some.samples == 30


def test_the_jackknife_covers_the_spread_of_samples() -> None:
    generator = np.random.default_rng(1)
    real, made = generator.normal(size=(4000, 4)), generator.normal(0.5, 1.3, size=(4000, 4))
    samples = [(real[i : i + 200], made[i : i + 200]) for i in range(0, 4000, 200)]
    spread = np.std([frechet_distance(a, b) for a, b in samples], ddof=1)
    widths = [(found.high - found.low) / (2 * 1.96) for found in (distance(a, b) for a, b in samples)]
    assert np.mean(widths) == pytest.approx(spread, rel=0.5)
    assert halves(real) < distance(real, made).value


def test_what_cannot_be_scored_is_said(coloured: Path, data: Path, tmp_path: Path) -> None:
    file, extractor = catalogue.load("coco-images"), Extractor("colours", "x", both=Colours())
    with pytest.raises(DataError, match=r"3 of 40 items; 20 are the fewest.*0\.png"):
        run_benchmark(
            file, Drawn(drawn(tmp_path / "few", coloured, count=3), extractor), tmp_path, "few", Options(coloured)
        )
    with pytest.raises(EvaluationError, match="answered in words"):
        run_benchmark(catalogue.load("gqa"), Drawn(tmp_path, extractor), tmp_path, "x", Options(data))
    with pytest.raises(EvaluationError, match="pictures:FOLDER"):
        run_benchmark(file, Degenerate("empty"), tmp_path, "x", Options(coloured))
