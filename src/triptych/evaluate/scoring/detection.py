"""Detection scores of yes/no answers, with unparsed answers as a class of their own.

An answer that could not be parsed is neither "yes" nor "no":

- accuracy: it is wrong;
- recall: where the truth is yes, it is a miss, as "no" would be;
- precision: it claims nothing, so it is no false alarm;
- yes-ratio: the share of "yes" among *all* answers, so that yes, no and unparsed shares add up to one.

All scores are functions of six counts, so they can be taken of any sum of counts, a bootstrap's resamples included.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from triptych.evaluate.scoring.tallies import ratio

__all__ = ["COLUMNS", "detection_counts", "detection_scores", "ratio"]

COLUMNS = 6
"""True yes, false yes, true no, false no, unparsed where the truth is yes, unparsed where it is no."""


def detection_counts(truth: bool, answer: bool | None) -> NDArray[np.float64]:
    """What one question adds: a row `[COLUMNS]` with a single one. `None` is an unparsed answer."""
    row = np.zeros(COLUMNS)
    if answer is None:
        row[4 if truth else 5] = 1
    elif answer:
        row[0 if truth else 1] = 1
    else:
        row[3 if truth else 2] = 1
    return row


def detection_scores(counts: NDArray[np.float64]) -> dict[str, NDArray[np.float64]]:
    """Accuracy, precision, recall, F1 and yes-ratio, `[...]` each, of summed counts `[..., COLUMNS]`.

    Precision and F1 are 0 where nothing was answered with "yes"; a ratio over no question at all is NaN.
    """
    true_yes, false_yes, true_no, false_no, missed, _ = np.moveaxis(counts, -1, 0)
    asked, positive = counts.sum(axis=-1), true_yes + false_no + missed
    claimed = true_yes + false_yes
    return {
        "accuracy": ratio(true_yes + true_no, asked),
        "precision": np.where(asked > 0, ratio(true_yes, claimed, empty=0.0), np.nan),
        "recall": ratio(true_yes, positive),
        "f1": np.where(asked > 0, ratio(2 * true_yes, claimed + positive, empty=0.0), np.nan),
        "yes_ratio": ratio(claimed, asked),
    }
