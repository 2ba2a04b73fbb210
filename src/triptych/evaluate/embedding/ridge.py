"""Ridge regression from pictures to texts: the retrieval baseline that learns nothing by gradients.

    features of pictures [N, D] ─► standardise ─► W, closed form ─► standardised features of texts [N, D'] ─► cosines

Both sides are standardised channel by channel as training pictures and texts have them: in a language model's states a few
large channels would else decide alone. The penalty is that whose held-out training pictures find their texts, and
texts their pictures, best (mean reciprocal rank); W is then fitted on all of them.

Reference: A. Hoerl, R. Kennard, "Ridge Regression: Biased Estimation for Nonorthogonal Problems", 1970.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from triptych.conversation import Image
from triptych.errors import EvaluationError
from triptych.evaluate.embedding.encoder import Embedder, Floats
from triptych.evaluate.embedding.ranks import ranks
from triptych.evaluate.embedding.samples import Sample
from triptych.progress import counted

PENALTIES = tuple(float(10.0**power) for power in np.arange(-4, 3.5, 0.5))
"""Of the squared weights, per picture, on standardised features."""

HELD_OUT = 0.2
"""Share of the training pictures that choose the penalty."""

FEWEST = 10
"""Pictures without which there is nothing to fit and to choose by."""


@dataclass
class Ridge:
    """A fitted regression, which puts pictures and texts in the space of text features.

    Args:
        model: Gives the features of both.
        weight: `[D, D']`.
        image: Mean and spread of the pictures' features, each `[D]`.
        text: The same of the texts', each `[D']`.
        penalty: That was chosen.
        scores: Penalty → mean reciprocal rank on the held-out training pictures.
    """

    model: Embedder
    weight: NDArray[np.float64]
    image: tuple[NDArray[np.float64], NDArray[np.float64]]
    text: tuple[NDArray[np.float64], NDArray[np.float64]]
    penalty: float
    scores: dict[float, float] = field(default_factory=dict)

    def images(self, pictures: Sequence[Image]) -> Floats:
        """Directions `[N, D']` of pictures."""
        mean, spread = self.image
        return _unit((self.model.features(pictures) - mean) / spread @ self.weight)

    def texts(self, texts: Sequence[str]) -> Floats:
        """Directions `[N, D']` of texts."""
        mean, spread = self.text
        return _unit((self.model.text_features(texts) - mean) / spread)

    def features(self, pictures: Sequence[Image]) -> Floats:
        """The features that it starts from."""
        return self.model.features(pictures)

    def text_features(self, texts: Sequence[str]) -> Floats:
        """The features that it aims at."""
        return self.model.text_features(texts)


def fit(model: Embedder, train: Sequence[Sample], seed: int = 0, penalties: Sequence[float] = PENALTIES) -> Ridge:
    """The regression of a training set.

    Args:
        model: Gives the features.
        train: Pictures with their texts, each picture once.
        seed: Of the choice of pictures that choose the penalty.
        penalties: To choose from.

    Raises:
        EvaluationError: There are too few pictures.
    """
    if len(train) < FEWEST:
        raise EvaluationError(f"the baseline `ridge` needs {FEWEST} training pictures at least, found {len(train)}")
    with counted("ridge, to learn from", [sample.picture for sample in train], "pictures") as pictures:
        x = np.asarray(model.features(pictures), dtype=np.float64)
    texts = list(dict.fromkeys(text for sample in train for text in sample.texts))
    row = {text: i for i, text in enumerate(texts)}
    said, text = _standardised(np.asarray(model.text_features(texts), dtype=np.float64))
    # All texts of a picture have the same features to be told from, so their mean is what squares are least for.
    y = np.stack([said[[row[text] for text in sample.texts]].mean(axis=0) for sample in train])
    order = np.random.default_rng(seed).permutation(len(train))
    held_out = order[: max(FEWEST // 2, int(HELD_OUT * len(train)))]
    fitted = order[len(held_out) :]
    owners = [[row[text] for text in train[i].texts] for i in held_out]
    part, (mean, spread) = _standardised(x[fitted])
    asked = (x[held_out] - mean) / spread
    weights = _weights(part, y[fitted], penalties)
    scores = {
        penalty: _reciprocal_rank(asked @ weight, said, owners)
        for penalty, weight in zip(penalties, weights, strict=True)
    }
    best = max(scores, key=lambda penalty: (scores[penalty], penalty))
    whole, image = _standardised(x)
    (weight,) = _weights(whole, y, [best])
    return Ridge(model, weight, image, text, best, scores)


def _standardised(
    rows: NDArray[np.float64],
) -> tuple[NDArray[np.float64], tuple[NDArray[np.float64], NDArray[np.float64]]]:
    """Rows with mean 0 and deviation 1 in each channel, and what they were before; constant channels are 0."""
    mean, spread = rows.mean(axis=0), rows.std(axis=0)
    spread = np.where(spread > 1e-6 * max(1e-12, float(spread.max())), spread, np.inf)
    return (rows - mean) / spread, (mean, spread)


def _weights(x: NDArray[np.float64], y: NDArray[np.float64], penalties: Sequence[float]) -> list[NDArray[np.float64]]:
    """W = (XᵀX + N λ)⁻¹ XᵀY for each λ, by one singular value decomposition. Features without spread have no part in it."""
    left, values, right = np.linalg.svd(x, full_matrices=False)
    turned = left.T @ y
    return [right.T @ ((values / (values**2 + len(x) * penalty))[:, None] * turned) for penalty in penalties]


def _reciprocal_rank(images: Floats, texts: Floats, owners: Sequence[Sequence[int]]) -> float:
    """Mean of 1 / rank both ways; `owners[i]` are the rows of picture i's texts."""
    asked = sorted({row for rows in owners for row in rows})
    scores = _unit(images) @ _unit(texts[asked]).T
    right = np.array([[row in set(rows) for row in asked] for rows in owners])
    return float((1 / ranks(scores, right)).mean() + (1 / ranks(scores.T, right.T)).mean()) / 2


def _unit(rows: Floats) -> Floats:
    lengths = np.linalg.norm(rows, axis=1, keepdims=True)
    found: Floats = rows / np.maximum(lengths, 1e-12)
    return found
