"""MME: accuracy plus accuracy+ per subtask, each times 100, and their sums (C. Fu et al., "MME", 2023).

Each picture has two questions, one to be answered with yes and one with no. Accuracy is over questions, accuracy+ over
pictures with both right. Perception is the sum over ten subtasks (at most 2000), cognition over four (800).
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from triptych.evaluate.metrics.tallies import ratio

PERCEPTION = ("existence", "count", "position", "color", "posters", "celebrity", "scene", "landmark", "artwork", "OCR")
COGNITION = ("commonsense_reasoning", "numerical_calculation", "text_translation", "code_reasoning")
SUBTASKS = PERCEPTION + COGNITION
COLUMNS = 4 * len(SUBTASKS)
"""Per subtask: questions, right answers, pictures, pictures with every question right."""


def mme_row(subtask: str, correct: Sequence[bool]) -> NDArray[np.float64]:
    """What one picture adds: a row `[COLUMNS]`.

    Raises:
        KeyError: There is no such subtask.
    """
    if subtask not in SUBTASKS:
        raise KeyError(subtask)
    row = np.zeros(COLUMNS)
    place = 4 * SUBTASKS.index(subtask)
    row[place : place + 4] = len(correct), sum(correct), 1, all(correct)
    return row


def mme_scores(sums: NDArray[np.float64]) -> dict[str, NDArray[np.float64]]:
    """`perception`, `cognition`, `accuracy`, `accuracy_plus` and each subtask, of summed rows `[..., COLUMNS]`."""
    grid = sums.reshape(*sums.shape[:-1], len(SUBTASKS), 4)
    asked, right, pictures, whole = np.moveaxis(grid, -1, 0)
    points = 100 * (ratio(right, asked) + ratio(whole, pictures))
    per = {subtask: points[..., i] for i, subtask in enumerate(SUBTASKS)}

    def total(names: Sequence[str]) -> NDArray[np.float64]:
        chosen = np.stack([per[name] for name in names], axis=-1)
        return np.where(np.isnan(chosen).all(-1), np.nan, np.nansum(chosen, axis=-1))

    return {
        "accuracy": ratio(right.sum(-1), asked.sum(-1)),
        "accuracy_plus": ratio(whole.sum(-1), pictures.sum(-1)),
        "perception": total(PERCEPTION),
        "cognition": total(COGNITION),
    } | per
