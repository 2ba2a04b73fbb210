"""Retrieval: each picture finds its text among those of its pool, each text its picture.

A text that is word for word one of a picture's own is right for it, whoever brought it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from triptych.conversation import Image
from triptych.errors import EvaluationError
from triptych.evaluate.embedding.encoder import Embedder, Floats, PairJudge, cosines
from triptych.evaluate.embedding.ranks import ranks
from triptych.evaluate.embedding.samples import Sample
from triptych.evaluate.metrics.retrieval import WAYS
from triptych.progress import Counted, counted, tracked


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


def search(samples: Sequence[Sample], model: Embedder, pool: int, name: str, rerank: int | None = None) -> list[Search]:
    """Every picture and every text asked for in its pool.

    Args:
        samples: Pictures with their texts.
        model: Gives directions.
        pool: Pictures in a pool.
        name: Of the dataset, for messages.
        rerank: The first so many candidates of each query are put in a new order, read together with it.

    Raises:
        EvaluationError: There are fewer samples than a pool has, or the model cannot judge pairs.
    """
    if rerank is not None and not isinstance(model, PairJudge):
        raise EvaluationError(f"{name}: `rerank` needs a model that reads picture and text together")
    if len(samples) < pool:
        raise EvaluationError(f"{name}: {len(samples)} pictures are fewer than a pool of {pool}; lower `pool`")
    with counted(f"{name}, pictures", [sample.picture for sample in samples], "pictures") as pictures:
        images = model.images(pictures)
    texts = list(dict.fromkeys(text for sample in samples for text in sample.texts))
    with counted(f"{name}, texts", texts, "texts") as read:
        directions = dict(zip(texts, model.texts(read), strict=True))
    found = []
    for start in range(0, len(samples) - pool + 1, pool):
        members = samples[start : start + pool]
        own = list(dict.fromkeys(text for sample in members for text in sample.texts))
        scores = cosines(images[start : start + pool], np.stack([directions[text] for text in own]))
        both = (scores, scores.T)
        if rerank is not None and isinstance(model, PairJudge):
            both = reranked(model, [sample.picture for sample in members], own, scores, rerank)
        found += _pool(members, own, both, start)
    return found


def reranked(
    model: PairJudge, pictures: Sequence[Image], texts: Sequence[str], scores: Floats, first: int
) -> tuple[Floats, Floats]:
    """Scores `[N, M]` of pictures and `[M, N]` of texts whose first candidates stand in the order of judged pairs.

    The log-odds are added to the logits of the contrast, `sharpness · cosine`. Wrong pairs were drawn in training by the softmax of
    these logits, so that matching learned how much likelier a pair is than its cosine says, and the sum is the logarithm of its
    probability (Z. Ma, M. Collins, EMNLP 2018, on noise-contrastive estimation). BLIP-2's own evaluation adds the bare cosine,
    which is next to nothing. Candidates behind the first keep their order.
    """
    near = [np.zeros(scores.shape, dtype=bool) for _ in range(2)]
    for axis, shortlist in ((1, near[0]), (0, near[1])):
        count = min(first, scores.shape[axis])
        best = np.argsort(-scores, axis=axis, kind="stable").take(range(count), axis=axis)
        np.put_along_axis(shortlist, best, True, axis=axis)
    pairs = np.argwhere(near[0] | near[1])
    odds = np.zeros(scores.shape)
    with tracked("re-ranking", len(pairs), "pairs") as work:
        odds[tuple(pairs.T)] = model.matches(pictures, Counted(texts, work), pairs)  # each pair's text is read once
    logits = model.sharpness * scores
    ahead = 10 + 2 * np.abs(odds).max() + 2 * np.abs(logits).max()  # more than any difference of the two
    forward, backward = (np.where(shortlist, logits + odds + ahead, logits) for shortlist in near)
    return forward, backward.T


def _pool(members: Sequence[Sample], texts: Sequence[str], both: tuple[Floats, Floats], start: int) -> list[Search]:
    """The searches of a pool, by scores of pictures with texts `[N, M]` and of texts with pictures `[M, N]`."""
    scores, backward = both
    number = {text: i for i, text in enumerate(texts)}
    right = np.zeros(scores.shape, dtype=bool)
    for row, sample in enumerate(members):
        right[row, [number[text] for text in sample.texts]] = True
    found = []
    for row, rank in enumerate(ranks(scores, right)):
        first = texts[int(scores[row].argmax())]
        found.append(Search(start + row, WAYS[0], int(rank), len(texts), int(right[row].sum()), "", first))
    for column, rank in enumerate(ranks(backward, right.T)):
        # A text of several pictures is one query; it counts with the first of them.
        owner = int(right[:, column].argmax())
        first_picture = start + int(backward[column].argmax())
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
