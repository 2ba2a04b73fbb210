"""Naming pictures by a class: how often the right class is the first, or among the first five."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from triptych.evaluate.scoring.bootstrap import Tally
from triptych.evaluate.scoring.metric import Metric
from triptych.evaluate.tasks.question import Measured, Record

TOP = (1, 5)


class Naming(Metric):
    """`top1_accuracy` and, of more than five classes, `top5_accuracy`.

    Args:
        classes: How many there are.
    """

    name = "naming"
    inputs = ("truth", "values.rank")
    needs = "embeds"

    def __init__(self, classes: int = TOP[-1] + 1) -> None:
        self.at = [k for k in TOP if k < classes]

    def takes(self, record: Record) -> bool:
        """Whether its classes were ranked."""
        return isinstance(record, Measured) and "rank" in record.values

    def tally(self, records: Sequence[Record]) -> Tally:
        """Hits, a row a picture."""
        ranks = np.array([record.values["rank"] for record in records if isinstance(record, Measured)])
        sums = np.stack([np.ones(len(ranks)), *[(ranks <= k).astype(float) for k in self.at]], axis=1)

        def score(sums: NDArray[np.float64]) -> dict[str, NDArray[np.float64]]:
            return {f"top{k}_accuracy": sums[..., 1 + i] / sums[..., 0] for i, k in enumerate(self.at)}

        counts = {f"top{k}_accuracy": len(ranks) for k in self.at}
        return Tally([record.sample for record in records], sums, score, counts)

    def chance(self, records: Sequence[Record]) -> dict[str, float]:
        """What always naming the commonest classes scores."""
        counts = [count for _, count in Counter(record.truth for record in records).most_common()]  # type: ignore[arg-type]
        return {f"top{k}_accuracy": sum(counts[:k]) / len(records) for k in self.at}
