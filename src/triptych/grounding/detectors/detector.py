"""The interface of detectors.

picture, phrases ──► pixels, text ──► model ──► boxes, scores per phrase ──► thresholds, suppression ──► regions
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from triptych.conversation import Frame, Image, Region


class Detection(NamedTuple):
    """One thing that a detector found.

    Args:
        region: Where, in pixels of the picture as it is, named by the phrase that it was found for.
        score: How sure the detector is, in [0, 1].
    """

    region: Region
    score: float


class Found(NamedTuple):
    """What a model says about one picture, before thresholds by phrase.

    Args:
        boxes: `[K, 4]` left, top, right, bottom in pixels of the picture as it is; they may reach beyond it.
        scores: `[K]` in [0, 1].
        phrases: `[K]` number of the phrase that each box belongs to.
        size: Width and height of the picture in pixels.
    """

    boxes: Tensor
    scores: Tensor
    phrases: Tensor
    size: tuple[int, int]


class Detector(ABC):
    """Finds what phrases name.

    Args:
        batch_size: Pictures per forward pass.
        overlap: Of two boxes of one phrase that overlap by more than this IoU the better stays; None keeps both.
    """

    def __init__(self, batch_size: int, overlap: float | None) -> None:
        self.batch_size, self.overlap = batch_size, overlap

    @abstractmethod
    def find(self, images: Sequence[Image], phrases: Sequence[Sequence[str]]) -> list[Found]:
        """Boxes above the thresholds for each picture of a batch; every picture has one phrase or more.

        Raises:
            DataError: A picture cannot be read.
        """

    def detect(self, image: Image, phrases: Sequence[str]) -> list[Detection]:
        """What a picture shows of the phrases, the best first."""
        return self.detect_many([image], [phrases])[0]

    @torch.inference_mode()
    def detect_many(self, images: Sequence[Image], phrases: Sequence[Sequence[str]]) -> list[list[Detection]]:
        """What each picture shows of its phrases, the best first; nothing where there is no phrase.

        Raises:
            ValueError: There are not as many lists of phrases as pictures.
            DataError: A picture cannot be read.
        """
        if len(images) != len(phrases):
            raise ValueError(f"{len(images)} pictures and {len(phrases)} lists of phrases")
        answers: list[list[Detection]] = [[] for _ in images]
        asked = [i for i, own in enumerate(phrases) if own]
        for start in range(0, len(asked), self.batch_size):
            part = asked[start : start + self.batch_size]
            found = self.find([images[i] for i in part], [list(phrases[i]) for i in part])
            for i, boxes in zip(part, found, strict=True):
                answers[i] = self._regions(boxes, phrases[i])
        return answers

    def _regions(self, found: Found, phrases: Sequence[str]) -> list[Detection]:
        width, height = found.size
        frame = Frame(width, height)
        boxes = found.boxes.float().cpu()
        boxes = torch.stack([boxes[:, 0::2].clamp(0, width), boxes[:, 1::2].clamp(0, height)], dim=-1).flatten(1)
        scores, numbers = found.scores.float().cpu(), found.phrases.cpu()
        order = scores.argsort(descending=True, stable=True).tolist()
        if self.overlap is not None:
            order = suppress(boxes, numbers, order, self.overlap)
        answers = []
        for k in order:
            left, top, right, bottom = boxes[k].tolist()
            if right > left and bottom > top:
                region = Region((left, top, right, bottom), frame, name=phrases[int(numbers[k])])
                answers.append(Detection(region, float(scores[k])))
        return answers


def suppress(boxes: Tensor, phrases: Tensor, order: Sequence[int], overlap: float) -> list[int]:
    """Which boxes stay, best first, when of two of one phrase with more IoU than `overlap` only the better does.

    Args:
        boxes: `[K, 4]` corners.
        phrases: `[K]` the phrase of each.
        order: Boxes from the best to the worst.
        overlap: Largest IoU.
    """
    area = (boxes[:, 2] - boxes[:, 0]).clamp(min=0) * (boxes[:, 3] - boxes[:, 1]).clamp(min=0)
    kept: list[int] = []
    for k in order:
        rivals = [other for other in kept if phrases[other] == phrases[k]]
        if rivals:
            others = boxes[rivals]
            low, high = torch.maximum(boxes[k, :2], others[:, :2]), torch.minimum(boxes[k, 2:], others[:, 2:])
            common = (high - low).clamp(min=0).prod(dim=-1)
            union = area[k] + area[rivals] - common
            if bool((common > overlap * union).any()):
                continue
        kept.append(k)
    return kept
