"""Captions that a model has to beat: taken from the training captions, without looking or by looking one up."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from triptych.conversation import Medium
from triptych.errors import DataError
from triptych.evaluate.scoring.cider import SIGMA, Cider, Vector, cider_d
from triptych.evaluate.scoring.ngrams import ORDER, NGram
from triptych.evaluate.scoring.tokenizer import tokenize
from triptych.evaluate.tasks.captions import Captioned

Features = Callable[[Sequence[Medium]], NDArray[np.floating]]
"""Media → one pooled feature vector each, `[N, D]`."""

CANDIDATES = 4000
PICTURES = 2000
_BATCH = 32


def central_caption(train: Sequence[Captioned], *, seed: int = 0) -> str:
    """The training caption with the highest mean CIDEr-D against the captions of the other training pictures.

    Exact up to 4,000 captions and 2,000 pictures (seconds of work); beyond that, candidates and pictures are
    seeded samples of that many. The idf comes from the pictures compared with; ties go to the earlier caption.
    """
    generator = np.random.default_rng(seed)
    if len(train) > PICTURES:
        train = [train[i] for i in sorted(generator.choice(len(train), PICTURES, replace=False))]
    captions = [caption for picture in train for caption in picture.references]
    vectors_by_picture = Cider([[tokenize(caption) for caption in picture.references] for picture in train]).references
    vectors = [vector for vectors in vectors_by_picture for vector in vectors]
    owner = np.repeat(np.arange(len(train)), [len(picture.references) for picture in train])
    weight = 1 / np.bincount(owner)[owner]  # each picture counts once, however many captions it has
    chosen = np.arange(len(captions))
    if len(captions) > CANDIDATES:
        chosen = np.sort(generator.choice(len(captions), CANDIDATES, replace=False))
    index = _Index(vectors)
    means = [float((index.similarities(vectors[i]) * weight)[owner != owner[i]].sum()) for i in chosen]
    return captions[int(chosen[int(np.argmax(means))])]


def nearest_captions(pictures: Sequence[Captioned], train: Sequence[Captioned], features: Features) -> list[str]:
    """For each picture a caption of the training picture with the closest features (cosine).

    Of that picture's captions, the one that the others agree with most (CIDEr-D) is taken. Training pictures that
    cannot be read are left out; a picture that cannot be read itself is close to none, and gets no words.

    Raises:
        DataError: No training picture can be read.
    """
    train, theirs = _described(train, features)
    if not train:
        raise DataError("none of the training pictures can be read, so that none is nearest")
    vectors = Cider([[tokenize(caption) for caption in picture.references] for picture in train]).references
    readable, ours = _described(pictures, features)
    captions = {}
    for picture, similarities in zip(readable, ours @ theirs.T if readable else (), strict=True):
        nearest = int(np.argmax(similarities))
        captions[picture.id] = train[nearest].references[_consensus(vectors[nearest])]
    return [captions.get(picture.id, "") for picture in pictures]


def _consensus(vectors: Sequence[Vector]) -> int:
    others = [[other for j, other in enumerate(vectors) if j != i] for i in range(len(vectors))]
    return int(np.argmax([cider_d(vector, rest) for vector, rest in zip(vectors, others, strict=True)]))


def _described(pictures: Sequence[Captioned], features: Features) -> tuple[list[Captioned], NDArray[np.float64]]:
    """The pictures that can be read, and their features scaled to unit length, `[N, D]`."""
    kept: list[Captioned] = []
    parts: list[NDArray[np.float64]] = []

    def describe(some: Sequence[Captioned]) -> None:
        try:
            parts.append(np.asarray(features([picture.media[0] for picture in some]), dtype=np.float64))
            kept.extend(some)
        except DataError:
            if len(some) > 1:
                describe(some[: len(some) // 2])
                describe(some[len(some) // 2 :])

    for start in range(0, len(pictures), _BATCH):
        describe(pictures[start : start + _BATCH])
    stacked = np.concatenate(parts) if parts else np.zeros((0, 0))
    return kept, stacked / np.maximum(np.linalg.norm(stacked, axis=-1, keepdims=True), 1e-12)


class _Index:
    """CIDEr-D of one caption against every caption of a corpus at once, by looking up who shares its n-grams."""

    def __init__(self, vectors: Sequence[Vector]) -> None:
        postings: dict[NGram, tuple[list[int], list[float]]] = defaultdict(lambda: ([], []))
        for i, vector in enumerate(vectors):
            for level in vector.weights:
                for ngram, weight in level.items():
                    if weight > 0:
                        postings[ngram][0].append(i)
                        postings[ngram][1].append(weight)
        self._postings = {ngram: (np.array(who), np.array(weights)) for ngram, (who, weights) in postings.items()}
        self._norms = np.array([vector.norms for vector in vectors])
        self._bigrams = np.array([vector.bigrams for vector in vectors])

    def similarities(self, candidate: Vector) -> NDArray[np.float64]:
        """CIDEr-D (0 to 10) of the candidate against each caption alone, `[N]`."""
        total = np.zeros(len(self._bigrams))
        for n in range(ORDER):
            product = np.zeros(len(self._bigrams))
            for ngram, weight in candidate.weights[n].items():
                if ngram in self._postings:
                    who, weights = self._postings[ngram]
                    product[who] += np.minimum(weight, weights) * weights
            norms = candidate.norms[n] * self._norms[:, n]
            total += np.divide(product, norms, out=np.zeros_like(product), where=norms > 0)
        return 10 * total / ORDER * np.exp(-((candidate.bigrams - self._bigrams) ** 2) / (2 * SIGMA**2))
