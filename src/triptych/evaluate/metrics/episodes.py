"""Few-shot episodes: accuracy after each number of named pictures, and the gain from the fewest to the most."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from triptych.evaluate.scoring.bootstrap import Tally
from triptych.evaluate.scoring.metric import Metric
from triptych.evaluate.scoring.tallies import ratio, tally_by
from triptych.evaluate.tasks.question import Record


class Episodes(Metric):
    """`N_shots_accuracy`, and `gain_M_to_N_shots` over the same episodes.

    Args:
        guess: How often a guess among the words that a question names is right; 0 where it names none.
    """

    name = "episodes"

    def __init__(self, guess: Callable[[Record], float] = lambda _: 0.0) -> None:
        self._guess = guess

    def tally(self, records: Sequence[Record]) -> Tally:
        """Right answers as sums per episode."""
        kinds = sorted({record.kind for record in records}, key=lambda kind: int(kind.split("_")[0]))

        def row(members: Sequence[Record]) -> NDArray[np.float64]:
            sums = np.zeros(2 * len(kinds))
            for record in members:
                column = 2 * kinds.index(record.kind)
                sums[column : column + 2] += 1, bool(record.correct)
            return sums

        def score(sums: NDArray[np.float64]) -> dict[str, NDArray[np.float64]]:
            scores = {f"{k}_accuracy": ratio(sums[..., 2 * i + 1], sums[..., 2 * i]) for i, k in enumerate(kinds)}
            if len(kinds) > 1:
                scores[gain] = scores[f"{kinds[-1]}_accuracy"] - scores[f"{kinds[0]}_accuracy"]
            return scores

        gain = f"gain_{kinds[0].split('_')[0]}_to_{kinds[-1]}" if kinds else ""
        totals = Counter(record.kind for record in records)
        counts = {f"{kind}_accuracy": totals[kind] for kind in kinds} | {gain: len(records)}
        return replace(tally_by(records, lambda record: record.sample, row, score), counts=counts)

    def chance(self, records: Sequence[Record]) -> dict[str, float]:
        """One of the words that were named or offered; without any, the commonest true word of all."""
        shares: dict[str, list[float]] = {}
        truths: dict[str, Counter[str]] = {}
        for record in records:
            shares.setdefault(record.kind, []).append(self._guess(record))
            truths.setdefault(record.kind, Counter())[str(record.truth)] += 1
        return {
            f"{kind}_accuracy": max(sum(each) / len(each), max(truths[kind].values()) / len(each))
            for kind, each in shares.items()
        }
