"""How well a detector finds what there is: average precision over names, by COCO's rules."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from triptych.data.regions import regions_of
from triptych.grounding.metrics import THRESHOLDS, average_precision, box_ious, match

if TYPE_CHECKING:
    from triptych.conversation import Conversation
    from triptych.grounding.detectors.detector import Detector


@dataclass(frozen=True)
class DetectionScores:
    """What a detector reached.

    Args:
        ap: Mean over names and over IoU thresholds from 0.5 to 0.95.
        ap50: Mean over names at 0.5.
        by_name: AP50 of each name.
        pictures: How many were looked at.
        boxes: How many there were to find.
    """

    ap: float
    ap50: float
    by_name: dict[str, float]
    pictures: int
    boxes: int


def score_detector(
    detector: Detector, conversations: Iterable[Conversation], names: Sequence[str] | None = None
) -> DetectionScores:
    """Ask for every name in every picture.

    The detector's threshold should be low: average precision looks at the order of scores, and cuts nothing off.

    Args:
        detector: To be measured.
        conversations: Pictures with everything that is on them (see `data.detection.regions_of`).
        names: The vocabulary; by default the names that occur.

    Raises:
        ValueError: There is nothing to find.
    """
    told = [(next(iter(conversation.images)), regions_of(conversation)) for conversation in conversations]
    vocabulary = list(names) if names is not None else sorted({region.name for _, own in told for region in own})
    found = detector.detect_many([picture for picture, _ in told], [vocabulary] * len(told))
    precisions = {}
    for name in vocabulary:
        matchings = []
        for (_, truths), boxes in zip(told, found, strict=True):
            own = [one for one in boxes if one.region.name == name]
            real = [region for region in truths if region.name == name]
            ious = box_ious(_boxes([one.region.box for one in own]), _boxes([region.box for region in real]))
            matchings.append(match(ious, np.array([one.score for one in own])))
        if any(matching.positives for matching in matchings):
            precisions[name] = average_precision(matchings)
    if not precisions:
        raise ValueError("none of the pictures shows any of the names")
    table = np.stack(list(precisions.values()))
    half = int(np.argmin(np.abs(np.asarray(THRESHOLDS) - 0.5)))
    return DetectionScores(
        ap=float(table.mean()),
        ap50=float(table[:, half].mean()),
        by_name={name: float(values[half]) for name, values in precisions.items()},
        pictures=len(told),
        boxes=sum(len(own) for _, own in told),
    )


def _boxes(boxes: Sequence[tuple[float, float, float, float]]) -> np.ndarray[tuple[int, int], np.dtype[np.float64]]:
    return np.asarray(boxes, np.float64).reshape(-1, 4)
