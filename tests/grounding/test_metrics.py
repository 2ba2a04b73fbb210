"""Scores held against `pycocotools`, the official implementation, and against cases counted by hand."""

from __future__ import annotations

import contextlib
import io
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from triptych.grounding.metrics import (
    average_precision,
    box_ious,
    caption_hits,
    caption_iou,
    mask_ious,
    match,
    overlap,
    pair_up,
    segmentation_iou,
    set_f1,
)


def boxes(generator: np.random.Generator, count: int, *, whole: bool = False) -> np.ndarray[Any, Any]:
    corner, size = generator.uniform(0, 60, (count, 2)), generator.uniform(0, 60, (count, 2))
    found = np.concatenate([corner, corner + size], axis=1)
    return found.round() if whole else found


def xywh(corners: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    return np.concatenate([corners[:, :2], corners[:, 2:] - corners[:, :2]], axis=1)


@pytest.mark.parametrize("seed", range(5))
def test_iou_of_boxes_and_masks_is_that_of_pycocotools(seed: int) -> None:
    official = pytest.importorskip("pycocotools.mask")
    generator = np.random.default_rng(seed)
    found, truths = boxes(generator, 7), boxes(generator, 5)
    crowd = generator.random(5) < 0.5
    expected = official.iou(xywh(found), xywh(truths), crowd.astype(int).tolist())
    np.testing.assert_array_max_ulp(box_ious(found, truths, crowd), expected, maxulp=4)

    ours, theirs = (generator.random((n, 33, 21)) < 0.4 for n in (4, 3))
    crowd = generator.random(3) < 0.5
    rles = [[official.encode(np.asfortranarray(m.astype(np.uint8))) for m in masks] for masks in (ours, theirs)]
    expected = official.iou(*rles, crowd.astype(int).tolist())
    np.testing.assert_array_equal(mask_ious(list(ours), list(theirs), crowd), expected)


def official_ap(pictures: list[dict[str, Any]], area: tuple[float, float] | None = None) -> np.ndarray[Any, Any]:
    """AP at each threshold by COCOeval, of boxes."""
    from pycocotools.coco import COCO
    from pycocotools.cocoeval import COCOeval

    truths, found = [], []
    for image, picture in enumerate(pictures, start=1):
        for box, crowd in zip(xywh(picture["truths"]), picture["crowd"], strict=True):
            truths.append({"id": len(truths) + 1, "image_id": image, "category_id": 1, "bbox": box.tolist(),
                           "area": float(box[2] * box[3]), "iscrowd": int(crowd)})  # fmt: skip
        for box, score in zip(xywh(picture["found"]), picture["scores"], strict=True):
            found.append({"image_id": image, "category_id": 1, "bbox": box.tolist(), "score": float(score)})
    with contextlib.redirect_stdout(io.StringIO()):
        coco = COCO()
        coco.dataset = {"images": [{"id": i + 1} for i in range(len(pictures))], "categories": [{"id": 1}],
                        "annotations": truths}  # fmt: skip
        coco.createIndex()
        evaluation = COCOeval(coco, coco.loadRes(found), "bbox")
        if area is not None:
            evaluation.params.areaRng, evaluation.params.areaRngLbl = [list(area)], ["all"]
        evaluation.evaluate()
        evaluation.accumulate()
    precision = evaluation.eval["precision"][:, :, 0, 0, -1]
    return np.where((precision > -1).all(axis=1), precision.mean(axis=1), np.nan)


def crafted(seed: int) -> list[dict[str, Any]]:
    """Pictures whose found are truths moved a little, strays, doubles, ties of scores; some pictures have nothing."""
    generator = np.random.default_rng(seed)
    pictures = []
    for _ in range(12):
        truths = boxes(generator, int(generator.integers(0, 5)))
        near = truths + generator.normal(0, 4, truths.shape)
        near = np.concatenate([np.minimum(near[:, :2], near[:, 2:]), np.maximum(near[:, :2], near[:, 2:])], axis=1)
        found = np.concatenate([near, near[:1], boxes(generator, int(generator.integers(0, 3)))])
        scores = generator.integers(0, 6, len(found)) / 5  # many ties
        pictures.append(
            {"truths": truths, "found": found, "scores": scores, "crowd": generator.random(len(truths)) < 0.2}
        )
    return pictures


@pytest.mark.parametrize("seed", range(12))
@pytest.mark.parametrize("area", [None, (0.0, 900.0), (900.0, 1e10)])
def test_average_precision_is_that_of_cocoeval_to_the_digit(seed: int, area: tuple[float, float] | None) -> None:
    pytest.importorskip("pycocotools")
    pictures = crafted(seed)
    matchings = []
    for picture in pictures:
        areas = [xywh(picture[key])[:, 2:].prod(axis=1) for key in ("found", "truths")]
        ious = box_ious(picture["found"], picture["truths"], picture["crowd"])
        limits = {} if area is None else {"area": area}
        matchings.append(
            match(ious, picture["scores"], crowd=picture["crowd"], found_areas=areas[0], true_areas=areas[1], **limits)
        )
    np.testing.assert_allclose(average_precision(matchings), official_ap(pictures, area), rtol=0, atol=1e-15)


def test_a_picture_that_counts_twice_is_one_that_is_there_twice() -> None:
    found = [p for p in crafted(3) if len(p["truths"])]
    # Scores that tell all found apart: among equal ones, the order of a picture's copies would matter.
    scores = iter(np.random.default_rng(0).permutation(1000) / 1000)
    matchings = [match(box_ious(p["found"], p["truths"]), np.array([next(scores) for _ in p["found"]])) for p in found]
    np.testing.assert_allclose(
        average_precision(matchings, np.full(len(matchings), 2.0)), average_precision(matchings), atol=1e-12
    )
    some = np.arange(len(matchings)) % 3
    repeated = [m for m, times in zip(matchings, some, strict=True) for _ in range(times)]
    np.testing.assert_allclose(average_precision(matchings, some), average_precision(repeated), atol=1e-12)


def test_average_precision_by_hand() -> None:
    """One of two truths found first, then a stray, then the other: precision 1 up to recall 0.5, then 2/3."""
    ious = np.array([[0.9, 0.0], [0.1, 0.2], [0.0, 0.6]])
    (ap,) = average_precision([match(ious, np.array([0.9, 0.8, 0.7]), thresholds=[0.5])])
    assert ap == pytest.approx((51 * 1 + 50 * 2 / 3) / 101)
    nothing = match(np.zeros((0, 2)), np.zeros(0), thresholds=[0.5])
    assert average_precision([nothing]) == [0.0]
    assert np.isnan(average_precision([match(np.zeros((1, 0)), np.ones(1), thresholds=[0.5])])).all()


@pytest.mark.parametrize("seed", range(3))
def test_ciou_and_giou_are_those_of_official_areas(seed: int) -> None:
    """cIoU and gIoU with intersections and unions as `pycocotools.mask` merges and measures them; one pair is empty."""
    official = pytest.importorskip("pycocotools.mask")
    generator = np.random.default_rng(seed)
    pairs = [(generator.random((2, 19, 26)) < generator.uniform(0.1, 0.9, (2, 1, 1))) for _ in range(6)]
    pairs.append(np.zeros((2, 8, 8), bool))
    sums = np.array([overlap(found, truth) for found, truth in pairs], np.float64)
    both = [[official.encode(np.asfortranarray(mask.astype(np.uint8))) for mask in pair] for pair in pairs]
    shared = np.array([official.area(official.merge(pair, intersect=True)) for pair in both], np.float64)
    either = np.array([official.area(official.merge(pair)) for pair in both], np.float64)
    np.testing.assert_array_equal(sums.T, [shared, either])
    total, mean = segmentation_iou(*sums.sum(axis=0)), segmentation_iou(*sums.T).mean()
    ious = [official.iou([a], [b], [0])[0, 0] for a, b in both[:-1]]
    assert total == pytest.approx(shared.sum() / either.sum(), abs=1e-15)
    assert mean == pytest.approx((sum(ious) + 1) / 7, abs=1e-15)


@pytest.mark.parametrize("seed", range(3))
def test_average_precision_of_masks_is_that_of_cocoeval_to_the_digit(seed: int) -> None:
    official = pytest.importorskip("pycocotools.mask")
    generator = np.random.default_rng(seed)
    pictures, matchings = [], []
    for _ in range(8):
        truths = [_disc(generator) for _ in range(int(generator.integers(0, 4)))]
        found = [np.roll(mask, int(generator.integers(-4, 5)), axis=1) for mask in truths] + [_disc(generator)]
        scores = generator.integers(0, 5, len(found)) / 4
        matchings.append(match(mask_ious(found, truths), scores))
        pictures.append({"truths": truths, "found": found, "scores": scores})

    def encoded(mask: np.ndarray[Any, Any]) -> Any:
        return official.encode(np.asfortranarray(mask.astype(np.uint8)))

    from pycocotools.coco import COCO
    from pycocotools.cocoeval import COCOeval

    truths = [
        {"image_id": i, "category_id": 1, "segmentation": encoded(mask), "area": float(mask.sum()), "iscrowd": 0}
        for i, picture in enumerate(pictures, start=1)
        for mask in picture["truths"]
    ]
    found = [
        {"image_id": i, "category_id": 1, "segmentation": encoded(mask), "score": float(score)}
        for i, picture in enumerate(pictures, start=1)
        for mask, score in zip(picture["found"], picture["scores"], strict=True)
    ]
    with contextlib.redirect_stdout(io.StringIO()):
        coco = COCO()
        coco.dataset = {
            "images": [{"id": i + 1, "height": 40, "width": 40} for i in range(len(pictures))],
            "categories": [{"id": 1}],
            "annotations": [truth | {"id": i} for i, truth in enumerate(truths, start=1)],
        }
        coco.createIndex()
        evaluation = COCOeval(coco, coco.loadRes(found), "segm")
        evaluation.evaluate()
        evaluation.accumulate()
    expected = evaluation.eval["precision"][:, :, 0, 0, -1].mean(axis=1)
    np.testing.assert_allclose(average_precision(matchings), expected, rtol=0, atol=1e-15)


def _disc(generator: np.random.Generator) -> np.ndarray[Any, Any]:
    """A round mask somewhere on 40 × 40 pixels."""
    (x, y), radius = generator.uniform(8, 32, 2), generator.uniform(4, 9)
    rows, columns = np.mgrid[:40, :40]
    found: np.ndarray[Any, Any] = (rows - y) ** 2 + (columns - x) ** 2 < radius**2
    return found


def test_segmentation_by_hand() -> None:
    """LISA: sums over sums; the mean of ratios, where an empty answer to an empty truth counts 1."""
    sums = np.array([10, 0, 0]), np.array([40, 60, 0])
    total, mean = segmentation_iou(*(each.sum() for each in sums)), segmentation_iou(*sums).mean()
    assert total == pytest.approx(0.1)
    assert mean == pytest.approx((0.25 + 0 + 1) / 3)


def test_grounded_captions_by_hand() -> None:
    ious = np.array([[0.8, 0.7, 0.0], [0.75, 0.0, 0.0], [0.0, 0.0, 0.6]])
    assert pair_up(ious) == [(0, 0), (2, 2)]  # greedy: the pairs (0, 1) and (1, 0) would be two better ones
    assert caption_iou(ious) == pytest.approx((0.8 + 0.6) / 2)
    assert caption_iou(np.zeros((2, 0))) == 0.0
    alike = np.ones((3, 3))
    assert caption_hits(ious, alike) == 2
    alike[0, 0] = 0.4
    assert caption_hits(ious, alike) == 0  # the official rule stops at the first pair that fails


def test_sets_by_hand() -> None:
    assert set_f1(np.array([[0.9, 0.0], [0.0, 0.8]])) == 1
    assert set_f1(np.array([[0.9, 0.0], [0.0, 0.4]])) == pytest.approx(0.5)
    assert set_f1(np.zeros((0, 2))) == 0
    assert set_f1(np.zeros((3, 0))) == 0
    assert set_f1(np.zeros((0, 0))) == 1


@given(st.integers(0, 2**32 - 1))
def test_pairs_are_one_to_one_and_ious_are_between_0_and_1(seed: int) -> None:
    generator = np.random.default_rng(seed)
    ious = box_ious(boxes(generator, int(generator.integers(0, 6))), boxes(generator, int(generator.integers(0, 6))))
    assert ((ious >= 0) & (ious <= 1)).all()
    pairs = pair_up(ious)
    for axis in (0, 1):
        assert len({pair[axis] for pair in pairs}) == len(pairs)
    values = [ious[pair] for pair in pairs]
    assert values == sorted(values, reverse=True)
