"""HallusionBench: accuracy over all questions (aAcc), question pairs (qAcc) and figures (fAcc).

T. Guan et al., "HallusionBench", CVPR 2024. A question about all the figures of its set counts for qAcc only if it is
answered right for each of them; a figure counts for fAcc only if each of its questions is. Questions without a figure
(visual supplement, figure 0) are no part of fAcc in the original script; VLMEvalKit never asks them.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from triptych.evaluate.metrics.tallies import ratio

COLUMNS = 6


def hallusion_row(answers: Sequence[tuple[str, str, bool, bool]]) -> NDArray[np.float64]:
    """What one set adds: a row `[COLUMNS]`; of each answer its question, figure, whether it is right, whether shown."""
    questions: dict[str, bool] = {}
    figures: dict[str, bool] = {}
    for question, figure, right, shown in answers:
        questions[question] = questions.get(question, True) and right
        if shown:
            figures[figure] = figures.get(figure, True) and right
    row = [
        len(answers),
        sum(answer[2] for answer in answers),
        len(questions),
        sum(questions.values()),
        len(figures),
        sum(figures.values()),
    ]
    return np.array(row, dtype=np.float64)


def hallusion_scores(sums: NDArray[np.float64]) -> dict[str, NDArray[np.float64]]:
    """`a_acc`, `q_acc` and `f_acc` of summed rows `[..., COLUMNS]`."""
    names = ("a_acc", "q_acc", "f_acc")
    return {name: ratio(sums[..., 2 * i + 1], sums[..., 2 * i]) for i, name in enumerate(names)}
