"""BLEU-4 over a corpus, with the closest reference length.

Formula: K. Papineni et al., "BLEU: a method for automatic evaluation of machine translation", ACL 2002, with the tiny
constants of `pycocoevalcap` (equal to it within 1e-6, tested). BLEU is a function of sums over pictures, so it is split
in two: `bleu_sums` counts, `bleu` scores any sum of those rows, a bootstrap's resamples included.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from triptych.evaluate.scoring.ngrams import ORDER, count_ngrams

COLUMNS = 2 + 2 * ORDER
"""Length of the caption, length of the closest reference, n-grams per order, n-grams found in a reference per order."""

_SMALL, _TINY = 1e-9, 1e-15


def bleu_sums(candidate: Sequence[str], references: Sequence[Sequence[str]]) -> NDArray[np.float64]:
    """What one tokenised caption adds to the corpus: a row `[COLUMNS]`.

    Raises:
        ValueError: There is no reference.
    """
    if not references:
        raise ValueError("BLEU needs at least one reference caption")
    allowed = count_ngrams(references[0])
    for reference in references[1:]:
        allowed |= count_ngrams(reference)
    found = [0] * ORDER
    for ngram, count in count_ngrams(candidate).items():
        found[len(ngram) - 1] += min(count, allowed[ngram])
    length = len(candidate)
    _, closest = min((abs(len(reference) - length), len(reference)) for reference in references)
    possible = [max(0, length - n) for n in range(ORDER)]
    return np.array([length, closest, *possible, *found], dtype=np.float64)


def bleu(sums: NDArray[np.float64]) -> NDArray[np.float64]:
    """BLEU-4, `[...]`, of rows summed over pictures, `[..., COLUMNS]`."""
    length, closest = sums[..., 0], sums[..., 1]
    possible, found = sums[..., 2 : 2 + ORDER], sums[..., 2 + ORDER :]
    precision = np.prod((found + _TINY) / (possible + _SMALL), axis=-1) ** (1 / ORDER)
    ratio = (length + _TINY) / (closest + _SMALL)
    with np.errstate(over="ignore", under="ignore"):
        penalty = np.where(ratio < 1, np.exp(1 - 1 / ratio), 1.0)
    return np.asarray(precision * penalty)
