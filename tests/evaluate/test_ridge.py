"""The ridge baseline: the closed form against a solver, what it finds, and what it is told."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pydantic import ValidationError

from triptych.conversation import Conversation, Image, assistant, user
from triptych.errors import EvaluationError
from triptych.evaluate.config import RetrievalTaskConfig
from triptych.evaluate.embedding import ridge
from triptych.evaluate.embedding.samples import read, texts_of
from triptych.evaluate.run import evaluate

PICTURES, TEXTS = 16, 8
GENERATOR = np.random.default_rng(0)
MAP = GENERATOR.normal(size=(PICTURES, TEXTS))
SEEN = GENERATOR.normal(size=(120, PICTURES)) * np.linspace(0.1, 5, PICTURES) + 3
SAID = SEEN @ MAP + 0.5 * GENERATOR.normal(size=(120, TEXTS)) + 7


class Known:
    """Directions say nothing; features of pictures and texts are a noisy linear map apart."""

    def images(self, pictures: Sequence[Image]) -> Any:
        return np.ones((len(pictures), 2))

    def texts(self, texts: Sequence[str]) -> Any:
        return np.ones((len(texts), 2))

    def features(self, pictures: Sequence[Image]) -> Any:
        return SEEN[[int(str(picture.key)) for picture in pictures]]

    def text_features(self, texts: Sequence[str]) -> Any:
        return SAID[[int(text.split()[-1]) for text in texts]]


def told(number: int) -> Conversation:
    return Conversation.of([user(Image(b"", key=str(number)), "What?"), assistant(f"number {number}")], id=str(number))


def test_the_weights_are_the_minimum_of_the_penalised_squares() -> None:
    x, y = SEEN - SEEN.mean(0), SAID - SAID.mean(0)
    for penalty, weight in zip((1e-3, 2.0), ridge._weights(x, y, (1e-3, 2.0)), strict=True):
        gradient = x.T @ (x @ weight - y) + len(x) * penalty * weight
        assert np.abs(gradient).max() < 1e-8 * np.abs(x.T @ y).max()


def test_a_linear_map_is_found_and_the_baseline_is_recorded(tmp_path: Path) -> None:
    source = [told(i) for i in range(120)]
    task = RetrievalTaskConfig(data="d", train_data="t", pool=30, at=(1,), baselines=("ridge",))
    result = evaluate(Known(), source[90:], task, tmp_path, train_source=source[:90])  # type: ignore[arg-type]
    scored = result.baselines["ridge"]
    assert scored.metrics["image_to_text_r1"].value > 0.8 and scored.metrics["text_to_image_r1"].value > 0.8
    assert result.metrics["image_to_text_r1"].value == 0  # ties are no hits
    difference = scored.difference["image_to_text_r1"]
    assert difference.value == pytest.approx(-scored.metrics["image_to_text_r1"].value) and difference.high < 0


def test_the_penalty_is_chosen_on_pictures_that_were_not_fitted() -> None:
    samples, _ = read([told(i) for i in range(90)], texts_of, None, "t", 0.0)  # type: ignore[arg-type]
    fitted = ridge.fit(Known(), samples)
    assert fitted.penalty == max(fitted.scores, key=lambda p: (fitted.scores[p], p))
    assert fitted.scores[1e3] < fitted.scores[fitted.penalty]
    again = ridge.fit(Known(), samples)
    assert again.penalty == fitted.penalty and np.array_equal(again.weight, fitted.weight)


def test_constant_channels_and_scales_change_nothing() -> None:
    class Scaled(Known):
        def features(self, pictures: Sequence[Image]) -> Any:
            rows = super().features(pictures) * np.linspace(1, 1000, PICTURES)
            return np.concatenate([rows, np.full((len(rows), 1), 5.0)], axis=1)

    samples, _ = read([told(i) for i in range(90)], texts_of, None, "t", 0.0)  # type: ignore[arg-type]
    pictures = [sample.picture for sample in samples]
    plain, scaled = ridge.fit(Known(), samples), ridge.fit(Scaled(), samples)
    np.testing.assert_allclose(plain.images(pictures), scaled.images(pictures), atol=1e-9)


def test_what_is_missing_is_said(tmp_path: Path) -> None:
    with pytest.raises(ValidationError, match="need `train_data`"):
        RetrievalTaskConfig(data="d", baselines=("ridge",))
    source = [told(i) for i in range(12)]
    task = RetrievalTaskConfig(data="d", train_data="t", pool=4, at=(1,), baselines=("ridge",))
    with pytest.raises(EvaluationError, match="pass it as `train_source`"):
        evaluate(Known(), source, task, tmp_path)  # type: ignore[arg-type]
    with pytest.raises(EvaluationError, match="training pictures at least, found 3"):
        evaluate(Known(), source, task, tmp_path, train_source=source[:3])  # type: ignore[arg-type]
