"""Fréchet distance between two sets of image features (FID), and CLIP score.

    FID = |μ₁ - μ₂|² + tr(Σ₁ + Σ₂ - 2 (Σ₁ Σ₂)^½)

M. Heusel et al., "GANs trained by a two time-scale update rule", NeurIPS 2017. A distance means nothing without the
extractor that made the features: published figures are of Inception-v3's pool3 (2,048 numbers) at 299 px. So results
name the extractor and the hash of its weights. CLIP score: J. Hessel et al., EMNLP 2021.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


def frechet_distance(real: NDArray[np.floating], made: NDArray[np.floating]) -> float:
    """The Fréchet distance of two sets of features `[N, D]` and `[M, D]`, each with a row a picture.

    Raises:
        ValueError: The widths differ, or a set has fewer than two rows.
    """
    if real.ndim != 2 or made.ndim != 2 or real.shape[1] != made.shape[1]:
        raise ValueError(f"features of one width are needed, got {real.shape} and {made.shape}")
    if min(len(real), len(made)) < 2:
        raise ValueError("a covariance needs at least two pictures in each set")
    first, second = (np.asarray(features, dtype=np.float64) for features in (real, made))
    difference = first.mean(axis=0) - second.mean(axis=0)
    a, b = np.cov(first, rowvar=False), np.cov(second, rowvar=False)
    # tr (AB)^½ = tr (A^½ B A^½)^½, which is symmetric and so has real, non-negative eigenvalues.
    values, vectors = np.linalg.eigh(np.atleast_2d(a))
    root = (vectors * np.sqrt(values.clip(min=0))) @ vectors.T
    mixed = np.linalg.eigvalsh(root @ np.atleast_2d(b) @ root).clip(min=0)
    return float(difference @ difference + np.trace(np.atleast_2d(a + b)) - 2 * np.sqrt(mixed).sum())


def clip_score(images: NDArray[np.floating], texts: NDArray[np.floating], weight: float = 2.5) -> NDArray[np.float64]:
    """CLIP score `[N]` of pictures and their texts, directions `[N, E]`: `weight · max(cosine, 0)`."""
    cosines = (images * texts).sum(-1) / (np.linalg.norm(images, axis=-1) * np.linalg.norm(texts, axis=-1))
    return np.asarray(weight * cosines.clip(min=0), dtype=np.float64)
