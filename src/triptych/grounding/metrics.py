"""The official scores of grounding, as functions of plain arrays.

COCO's average precision follows `pycocotools.cocoeval` (Lin et al. 2014) to the digit; segmentation scores follow LISA's
evaluation (Lai et al. 2023), grounded captions GLaMM's (Rasheed et al. 2023).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

THRESHOLDS = tuple(np.linspace(0.5, 0.95, 10).tolist())
"""COCO's ten thresholds of IoU."""

RECALLS = np.linspace(0.0, 1.0, 101)
"""The recalls at which COCO reads precision."""

EVERY_AREA = (0.0, 1e10)


def box_ious(found: Floats, truths: Floats, crowd: NDArray[np.bool_] | None = None) -> Floats:
    """IoU of every found box `[N, 4]` with every true one `[M, 4]`, both as corners: `[N, M]`.

    Of a crowd, the union is the found box alone (COCO's rule: a person within a crowd is all inside it).
    """
    found, truths = np.asarray(found, np.float64).reshape(-1, 4), np.asarray(truths, np.float64).reshape(-1, 4)
    low = np.maximum(found[:, None, :2], truths[None, :, :2])
    high = np.minimum(found[:, None, 2:], truths[None, :, 2:])
    overlap = np.clip(high - low, 0, None).prod(axis=-1)
    ours, theirs = ((box[:, 2:] - box[:, :2]).prod(axis=-1) for box in (found, truths))
    return _over_union(overlap, ours, theirs, crowd)


def mask_ious(
    found: Sequence[NDArray[np.bool_]], truths: Sequence[NDArray[np.bool_]], crowd: NDArray[np.bool_] | None = None
) -> Floats:
    """IoU of every found mask `[H, W]` with every true one of the same size, `[N, M]`; crowds as in `box_ious`."""
    if not found or not truths:
        return np.zeros((len(found), len(truths)))
    ours, theirs = (np.stack([mask.ravel() for mask in masks]).astype(np.float64) for masks in (found, truths))
    return _over_union(ours @ theirs.T, ours.sum(axis=1), theirs.sum(axis=1), crowd)


def _over_union(overlap: Floats, ours: Floats, theirs: Floats, crowd: NDArray[np.bool_] | None) -> Floats:
    union = ours[:, None] + theirs[None, :] - overlap
    if crowd is not None:
        union = np.where(np.asarray(crowd, bool)[None, :], ours[:, None], union)
    return np.divide(overlap, union, out=np.zeros_like(overlap), where=union > 0)


@dataclass(frozen=True)
class Matching:
    """How the found of one picture and category match its truths.

    Args:
        scores: Of the found, highest first, `[N]`.
        hits: Whether each matches a truth at each threshold, `[T, N]`.
        ignored: Whether it counts for nothing (it matches a crowd, or is of another area), `[T, N]`.
        positives: How many truths there are to find.
    """

    scores: Floats
    hits: NDArray[np.bool_]
    ignored: NDArray[np.bool_]
    positives: int


def match(
    ious: Floats,
    scores: Floats,
    *,
    crowd: NDArray[np.bool_] | None = None,
    found_areas: Floats | None = None,
    true_areas: Floats | None = None,
    area: tuple[float, float] = EVERY_AREA,
    thresholds: Sequence[float] = THRESHOLDS,
    most: int = 100,
) -> Matching:
    """COCO's greedy matching within one picture and category (`COCOeval.evaluateImg`).

    Args:
        ious: `[N, M]`, of found with true.
        scores: `[N]`.
        crowd: Which truths are crowds, `[M]`: they match any number of found, none of which count.
        found_areas: `[N]`, needed where `area` is limited.
        true_areas: `[M]`, likewise.
        area: Truths of another area are ignored, and so is what is found of another area and matches nothing.
        thresholds: Of IoU.
        most: How many found count, the surest.
    """
    count, truths = ious.shape
    crowd = np.zeros(truths, bool) if crowd is None else np.asarray(crowd, bool)
    true_areas = np.ones(truths) if true_areas is None else np.asarray(true_areas)
    found_areas = np.ones(count) if found_areas is None else np.asarray(found_areas)
    left_out = crowd | (true_areas < area[0]) | (true_areas > area[1])
    order = np.argsort(-np.asarray(scores, np.float64), kind="mergesort")[:most]
    columns = np.argsort(left_out, kind="mergesort")  # those that count come first
    ious, left_out, crowd = ious[order][:, columns], left_out[columns], crowd[columns]
    hits, ignored = (np.zeros((len(thresholds), len(order)), bool) for _ in range(2))
    for t, threshold in enumerate(thresholds):
        taken = np.zeros(truths, bool)
        for i in range(len(order)):
            best, chosen = min(threshold, 1 - 1e-10), -1
            for j in range(truths):
                if taken[j] and not crowd[j]:
                    continue
                if chosen > -1 and not left_out[chosen] and left_out[j]:
                    break
                if ious[i, j] < best:
                    continue
                best, chosen = ious[i, j], j
            if chosen > -1:
                hits[t, i], ignored[t, i], taken[chosen] = True, left_out[chosen], True
    outside = (found_areas[order] < area[0]) | (found_areas[order] > area[1])
    ignored |= ~hits & outside
    return Matching(np.asarray(scores, np.float64)[order], hits, ignored, int((~left_out).sum()))


def average_precision(matchings: Sequence[Matching], weights: Floats | None = None) -> Floats:
    """Average precision at each threshold, `[T]`, over pictures of one category (`COCOeval.accumulate`).

    Args:
        matchings: One per picture, in the order of the pictures' ids (which breaks ties of scores).
        weights: How often each picture counts, `[P]`; once by default. (For the bootstrap: a picture drawn twice is there
            twice. Where several found of one picture have the same score, their copies stay side by side.)

    Returns:
        The mean of the precision at 101 recalls; NaN where there is nothing to find.
    """
    times = np.ones(len(matchings)) if weights is None else np.asarray(weights, np.float64)
    positives = float(sum(w * m.positives for w, m in zip(times, matchings, strict=True)))
    thresholds = matchings[0].hits.shape[0] if matchings else 0
    if positives == 0:
        return np.full(thresholds, np.nan)
    scores = np.concatenate([m.scores for m in matchings])
    order = np.argsort(-scores, kind="mergesort")
    weight = np.concatenate([np.full(len(m.scores), w) for w, m in zip(times, matchings, strict=True)])[order]
    hits = np.concatenate([m.hits for m in matchings], axis=1)[:, order]
    counted = ~np.concatenate([m.ignored for m in matchings], axis=1)[:, order]
    true = np.cumsum((hits & counted) * weight, axis=1)
    false = np.cumsum((~hits & counted) * weight, axis=1)
    found = np.empty(thresholds)
    for t in range(thresholds):
        recall = true[t] / positives
        precision = true[t] / (false[t] + true[t] + np.spacing(1))
        precision = np.maximum.accumulate(precision[::-1])[::-1]  # never rises with recall
        places = np.searchsorted(recall, RECALLS, side="left")
        found[t] = np.where(places < len(precision), np.append(precision, 0.0)[places], 0.0).mean()
    return found


def pair_up(ious: Floats) -> list[tuple[int, int]]:
    """Greedy pairs (row, column) with an IoU above 0, the highest first, each row and column once."""
    left, pairs = np.array(ious, np.float64), []
    while left.size and left.max() > 0:
        row, column = np.unravel_index(int(left.argmax()), left.shape)
        pairs.append((int(row), int(column)))
        left[row, :] = left[:, column] = 0
    return pairs


def caption_iou(ious: Floats) -> float:
    """Mean IoU of the greedy pairs of one picture; 0 where there is none (GLaMM's `compute_miou`)."""
    pairs = pair_up(ious)
    return float(np.mean([ious[pair] for pair in pairs])) if pairs else 0.0


def caption_hits(ious: Floats, alike: Floats, least_iou: float = 0.5, least_alike: float = 0.5) -> int:
    """How many true phrases of one picture are found, in place and in words (GLaMM's `find_best_matches`).

    Pairs are taken by IoU, the highest first, until one of them is too low or its phrases are not alike: the official rule,
    which stops there instead of going on to the next pair.

    Args:
        ious: `[M, N]`, of true with found regions.
        alike: `[M, N]`, similarity of their phrases.
        least_iou: Below it, nothing is found.
        least_alike: Below it, the phrases are not alike.
    """
    found = 0
    for pair in pair_up(ious):
        if ious[pair] < least_iou or alike[pair] < least_alike:
            break
        found += 1
    return found


def set_f1(ious: Floats, threshold: float = 0.5) -> float:
    """F1 of the found `[N, M]` against the true ones: pairs of at least the threshold count; 1 where both are empty."""
    found, truths = ious.shape
    if not found or not truths:
        return float(found == truths)
    hits = len(pair_up(np.where(ious >= threshold, ious, 0.0)))
    return float(2 * hits / (found + truths))


def overlap(found: NDArray[np.bool_], truth: NDArray[np.bool_]) -> tuple[int, int]:
    """Pixels in both masks, and in either: what cIoU and gIoU are made of."""
    return int((found & truth).sum()), int((found | truth).sum())


def segmentation_iou(intersections: Floats, unions: Floats) -> Floats:
    """Intersection over union, elementwise; nothing found of nothing counts 1 (LISA, gRefCOCO).

    Of the sums over all answers it is their cIoU; the mean over answers is their gIoU.
    """
    intersections, unions = np.asarray(intersections, np.float64), np.asarray(unions, np.float64)
    return np.divide(intersections, unions, out=np.ones_like(unions), where=unions > 0)
