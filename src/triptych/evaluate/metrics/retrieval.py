"""Retrieval: how often the right answer is among the first so many, from pictures to texts and back (R@k)."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from triptych.evaluate.embedding.ranks import chance_at
from triptych.evaluate.scoring.bootstrap import Tally
from triptych.evaluate.scoring.metric import Metric
from triptych.evaluate.scoring.tallies import ratio
from triptych.evaluate.tasks.question import Measured, Record

WAYS = ("image_to_text", "text_to_image")


class Retrieval(Metric):
    """`image_to_text_r1`, …: the share of queries whose right answer is among the first so many.

    Args:
        at: The ranks that count as found.
    """

    name = "retrieval"
    inputs = ("values.rank", "values.candidates", "values.right")
    source = "M. Hodosh, P. Young, J. Hockenmaier, JAIR 2013"
    needs = "embeds"

    def __init__(self, at: Sequence[int] = (1, 5, 10)) -> None:
        self.at = at

    def takes(self, record: Record) -> bool:
        """Whether it is a query with a rank."""
        return isinstance(record, Measured) and "rank" in record.values

    def tally(self, records: Sequence[Record]) -> Tally:
        """Hits as sums per picture; a text counts with the first of its pictures."""
        pictures = list(dict.fromkeys(record.sample for record in records))
        row = {picture: i for i, picture in enumerate(pictures)}
        columns = 1 + len(self.at)
        sums = np.zeros((len(pictures), len(WAYS) * columns))
        for record in _measured(records):
            start = WAYS.index(record.kind) * columns
            sums[row[record.sample], start] += 1
            sums[row[record.sample], start + 1 : start + columns] += [record.values["rank"] <= k for k in self.at]

        def score(sums: NDArray[np.float64]) -> dict[str, NDArray[np.float64]]:
            return {
                f"{way}_r{k}": ratio(sums[..., w * columns + 1 + i], sums[..., w * columns])
                for w, way in enumerate(WAYS)
                for i, k in enumerate(self.at)
            }

        counts = {f"{way}_r{k}": sum(record.kind == way for record in records) for way in WAYS for k in self.at}
        return Tally(pictures, sums, score, counts)

    def chance(self, records: Sequence[Record]) -> dict[str, float]:
        """What shuffled candidates score."""
        queries = _measured(records)
        return {
            f"{way}_r{k}": float(
                np.mean([chance_at(k, q.values["candidates"], q.values["right"]) for q in queries if q.kind == way])
            )
            for way in WAYS
            for k in self.at
        }


def _measured(records: Sequence[Record]) -> list[Measured]:
    return [record for record in records if isinstance(record, Measured)]
