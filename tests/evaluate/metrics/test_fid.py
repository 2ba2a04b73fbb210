"""The Fréchet distance against its closed form, and CLIP score."""

from __future__ import annotations

import numpy as np
import pytest

from triptych.evaluate.metrics.images import clip_score, frechet_distance


def features(rows: int, width: int, seed: int) -> np.ndarray[tuple[int, int], np.dtype[np.float64]]:
    generator = np.random.default_rng(seed)
    return generator.normal(size=(rows, width)) @ generator.normal(size=(width, width))


def test_of_a_set_with_itself_it_is_zero() -> None:
    same = features(200, 8, 0)
    assert frechet_distance(same, same) == pytest.approx(0, abs=1e-6)


def test_a_shift_costs_its_square() -> None:
    same = features(200, 8, 1)
    assert frechet_distance(same, same + 3.0) == pytest.approx(8 * 9, rel=1e-9)


def test_independent_directions_add_up() -> None:
    """Uncorrelated features: Σ (μ₁ - μ₂)² + (σ₁ - σ₂)²."""
    base = np.linalg.qr(np.random.default_rng(2).normal(size=(50, 6)))[0]
    base = np.linalg.qr(base - base.mean(axis=0))[0]
    first, second = base * np.arange(1, 7), base * np.arange(7, 1, -1) + 0.5
    deviations = [part.std(axis=0, ddof=1) for part in (first, second)]
    wanted = ((first.mean(0) - second.mean(0)) ** 2).sum() + ((deviations[0] - deviations[1]) ** 2).sum()
    assert frechet_distance(first, second) == pytest.approx(wanted, rel=1e-6)


def test_it_is_symmetric_and_bears_fewer_rows_than_columns() -> None:
    a, b = features(5, 20, 3), features(7, 20, 4)
    assert frechet_distance(a, b) == pytest.approx(frechet_distance(b, a), rel=1e-6)


def test_other_widths_are_refused() -> None:
    with pytest.raises(ValueError, match="one width"):
        frechet_distance(np.zeros((3, 2)), np.zeros((3, 4)))


def test_clip_score_is_a_cosine_that_is_never_negative() -> None:
    images, texts = np.array([[1.0, 0], [1, 0], [1, 0]]), np.array([[2.0, 0], [0, 1], [-1, 0]])
    assert clip_score(images, texts).tolist() == [2.5, 0.0, 0.0]
