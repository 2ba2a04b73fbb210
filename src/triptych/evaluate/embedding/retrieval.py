"""Retrieval: each picture finds its text among those of its pool, each text its picture.

A text that is word for word one of a picture's own is right for it, whoever brought it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from triptych.errors import EvaluationError
from triptych.evaluate.embedding.encoder import Embedder, Floats
from triptych.evaluate.embedding.ranks import chance_at, ranks
from triptych.evaluate.embedding.samples import Sample
from triptych.evaluate.metrics.bootstrap import Tally
from triptych.evaluate.metrics.classification import ratio

WAYS = ("image_to_text", "text_to_image")


@dataclass(frozen=True)
class Search:
    """One query and what it found.

    Args:
        sample: Place of the picture that the query belongs to, among the samples.
        way: `image_to_text` or `text_to_image`.
        rank: Of the best right candidate, from 1.
        candidates: How many there were.
        right: How many of them are right.
        text: The query where it is a text.
        first: The text that came first, or the place of the picture that did.
    """

    sample: int
    way: str
    rank: int
    candidates: int
    right: int
    text: str
    first: str | int


def search(samples: Sequence[Sample], model: Embedder, pool: int, name: str) -> list[Search]:
    """Every picture and every text asked for in its pool.

    Raises:
        EvaluationError: There are fewer samples than a pool has.
    """
    if len(samples) < pool:
        raise EvaluationError(f"{name}: {len(samples)} pictures are fewer than a pool of {pool}; lower `pool`")
    images = model.images([sample.picture for sample in samples])
    texts = list(dict.fromkeys(text for sample in samples for text in sample.texts))
    directions = dict(zip(texts, model.texts(texts), strict=True))
    found = []
    for start in range(0, len(samples) - pool + 1, pool):
        members = samples[start : start + pool]
        own = list(dict.fromkeys(text for sample in members for text in sample.texts))
        scores = images[start : start + pool] @ np.stack([directions[text] for text in own]).T
        found += _pool(members, own, scores, start)
    return found


def _pool(members: Sequence[Sample], texts: Sequence[str], scores: Floats, start: int) -> list[Search]:
    number = {text: i for i, text in enumerate(texts)}
    right = np.zeros(scores.shape, dtype=bool)
    for row, sample in enumerate(members):
        right[row, [number[text] for text in sample.texts]] = True
    found = []
    for row, rank in enumerate(ranks(scores, right)):
        first = texts[int(scores[row].argmax())]
        found.append(Search(start + row, WAYS[0], int(rank), len(texts), int(right[row].sum()), "", first))
    for column, rank in enumerate(ranks(scores.T, right.T)):
        # A text of several pictures is one query; it counts with the first of them.
        owner = int(right[:, column].argmax())
        first_picture = start + int(scores[:, column].argmax())
        found.append(
            Search(
                start + owner,
                WAYS[1],
                int(rank),
                len(members),
                int(right[:, column].sum()),
                texts[column],
                first_picture,
            )
        )
    return found


def tally(searches: Sequence[Search], at: Sequence[int]) -> Tally:
    """`image_to_text_r1`, …: the share of queries whose right answer is among the first so many."""
    pictures = list(dict.fromkeys(found.sample for found in searches))
    row = {picture: i for i, picture in enumerate(pictures)}
    columns = 1 + len(at)
    sums = np.zeros((len(pictures), len(WAYS) * columns))
    for found in searches:
        start = WAYS.index(found.way) * columns
        sums[row[found.sample], start] += 1
        sums[row[found.sample], start + 1 : start + columns] += [found.rank <= k for k in at]

    def score(sums: NDArray[np.float64]) -> dict[str, NDArray[np.float64]]:
        return {
            f"{way}_r{k}": ratio(sums[..., w * columns + 1 + i], sums[..., w * columns])
            for w, way in enumerate(WAYS)
            for i, k in enumerate(at)
        }

    counts = {f"{way}_r{k}": sum(found.way == way for found in searches) for way in WAYS for k in at}
    return Tally(pictures, sums, score, counts)


def chance(searches: Sequence[Search], at: Sequence[int]) -> dict[str, float]:
    """What shuffled candidates score."""
    return {
        f"{way}_r{k}": float(
            np.mean([chance_at(k, found.candidates, found.right) for found in searches if found.way == way])
        )
        for way in WAYS
        for k in at
    }
