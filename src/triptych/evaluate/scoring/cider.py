"""CIDEr-D: how close a caption is to what people say of a picture, in tf-idf weighted n-grams.

Formula: R. Vedantam, C. L. Zitnick, D. Parikh, "CIDEr: Consensus-based image description evaluation", CVPR 2015, with
the clipping and the length penalty of its variant D, as `pycocoevalcap` computes it (equal within 1e-6, tested):

    CIDEr-D(c, S) = 10 · mean_{s ∈ S} mean_{n=1..4}  min(g_n(c), g_n(s)) · g_n(s) / (|g_n(c)| |g_n(s)|) · exp(-δ² / 2σ²)

where g_n is the vector of counts × idf, idf(w) = ln N - ln max(1, df(w)) with df over the N pictures of the reference
corpus, σ = 6, and δ is the difference of the two lengths, which the official code counts in bigrams.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from triptych.evaluate.scoring.ngrams import ORDER, NGram, count_ngrams

SIGMA = 6.0

Words = Sequence[str]


@dataclass(frozen=True)
class Vector:
    """A caption as tf-idf weights of its n-grams, one mapping per n, with their Euclidean norms."""

    weights: tuple[dict[NGram, float], ...]
    norms: tuple[float, ...]
    bigrams: int


class Cider:
    """CIDEr-D against a fixed reference corpus.

    Args:
        references: For each of N pictures its reference captions, tokenised. The idf comes from these.
    """

    def __init__(self, references: Sequence[Sequence[Words]]) -> None:
        counts = [[count_ngrams(caption) for caption in captions] for captions in references]
        self._document_frequency = Counter(ngram for captions in counts for ngram in set().union(*captions))
        self._log_pictures = math.log(len(references)) if references else 0.0
        self.references = [[self._weigh(caption) for caption in captions] for captions in counts]

    def vector(self, caption: Words) -> Vector:
        """The tf-idf vectors of one tokenised caption."""
        return self._weigh(count_ngrams(caption))

    def score(self, caption: Words, picture: int) -> float:
        """CIDEr-D (0 to 10) of a tokenised caption for the picture with this index."""
        return cider_d(self.vector(caption), self.references[picture])

    def scores(self, captions: Sequence[Words]) -> NDArray[np.float64]:
        """CIDEr-D of one caption for each picture, `[N]`; the corpus score is the mean."""
        if len(captions) != len(self.references):
            raise ValueError(f"{len(captions)} captions for {len(self.references)} pictures")
        return np.array([self.score(caption, picture) for picture, caption in enumerate(captions)], dtype=np.float64)

    def _weigh(self, counts: Counter[NGram]) -> Vector:
        weights: tuple[dict[NGram, float], ...] = tuple({} for _ in range(ORDER))
        for ngram, count in counts.items():
            idf = self._log_pictures - math.log(max(1, self._document_frequency[ngram]))
            weights[len(ngram) - 1][ngram] = count * idf
        norms = tuple(math.sqrt(sum(weight * weight for weight in level.values())) for level in weights)
        return Vector(weights, norms, sum(count for ngram, count in counts.items() if len(ngram) == 2))


def cider_d(candidate: Vector, references: Sequence[Vector]) -> float:
    """CIDEr-D (0 to 10) of one caption against the references of its picture; 0 without references."""
    if not references:
        return 0.0
    return 10.0 * sum(_similarity(candidate, reference) for reference in references) / len(references)


def _similarity(candidate: Vector, reference: Vector) -> float:
    total = 0.0
    for n in range(ORDER):
        theirs, norm = reference.weights[n], candidate.norms[n] * reference.norms[n]
        product = sum(min(w, theirs[g]) * theirs[g] for g, w in candidate.weights[n].items() if g in theirs)
        # The official code leaves the product undivided where a norm is zero; it is then zero itself.
        total += product / norm if norm else 0.0
    difference = candidate.bigrams - reference.bigrams
    return total / ORDER * math.exp(-(difference**2) / (2 * SIGMA**2))
