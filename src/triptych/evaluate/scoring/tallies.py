"""From judged records to the sums that scores, and their bootstrap intervals, are made of."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Hashable, Mapping, Sequence
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from triptych.evaluate.scoring.bootstrap import Score, Tally

R = TypeVar("R")


def tally_by(
    records: Sequence[R],
    cluster: Callable[[R], Hashable],
    row: Callable[[Sequence[R]], NDArray[np.float64]],
    score: Score,
    kind: Callable[[R], str] | None = None,
) -> Tally:
    """Records as one row of sums per cluster, the unit that the bootstrap draws.

    Args:
        records: Judged.
        cluster: What a record belongs to: its picture, or a group of questions that are only right together.
        row: The sums `[K]` of one cluster's records.
        score: Scores of summed rows `[..., K]`.
        kind: The kind of a record; where there are several, every score is given per kind (`KIND_SCORE`), too.
    """
    clusters: dict[Hashable, list[R]] = {}
    for record in records:
        clusters.setdefault(cluster(record), []).append(record)
    kinds = list(dict.fromkeys(kind(record) for record in records)) if kind else []
    kinds = kinds if len(kinds) > 1 else []
    whole = np.stack([row(members) for members in clusters.values()])
    width = whole.shape[1]

    def of(members: Sequence[R], name: str) -> NDArray[np.float64]:
        chosen = [record for record in members if kind is not None and kind(record) == name]
        return row(chosen) if chosen else np.zeros(width)

    parts = [np.stack([of(members, name) for members in clusters.values()]) for name in kinds]

    def scores(sums: NDArray[np.float64]) -> dict[str, NDArray[np.float64]]:
        values = score(sums[..., :width])
        for i, name in enumerate(kinds, start=1):
            part = score(sums[..., i * width : (i + 1) * width])
            values |= {f"{name}_{metric}": value for metric, value in part.items()}
        return values

    totals = Counter(kind(record) for record in records) if kind else Counter()
    names = list(score(whole.sum(axis=0)))
    counts = {metric: len(records) for metric in names}
    counts |= {f"{name}_{metric}": totals[name] for name in kinds for metric in names}
    return Tally(list(clusters), np.concatenate([whole, *parts], axis=1), scores, counts)


def means(
    columns: Mapping[str, Callable[[R], float | None]],
) -> tuple[Callable[[Sequence[R]], NDArray[np.float64]], Score]:
    """`row` and `score` for `tally_by`: means of values of records, by name; a value that is `None` does not count."""
    names = list(columns)

    def row(members: Sequence[R]) -> NDArray[np.float64]:
        sums = np.zeros(2 * len(names))
        for record in members:
            for i, name in enumerate(names):
                value = columns[name](record)
                if value is not None:
                    sums[2 * i : 2 * i + 2] += value, 1
        return sums

    def score(sums: NDArray[np.float64]) -> dict[str, NDArray[np.float64]]:
        return {name: ratio(sums[..., 2 * i], sums[..., 2 * i + 1]) for i, name in enumerate(names)}

    return row, score


def ratio(part: NDArray[np.float64], whole: NDArray[np.float64], empty: float = np.nan) -> NDArray[np.float64]:
    """`part / whole` elementwise, `empty` where `whole` is zero."""
    return np.divide(part, whole, out=np.full(np.shape(whole), empty, dtype=np.float64), where=np.asarray(whole) > 0)
