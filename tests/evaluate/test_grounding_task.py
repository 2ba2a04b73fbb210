from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from grounders import FRAME, FakeBoxes, FakeDescriber, FakeGrounder, half, knows

from triptych.conversation import NORMALISED, Region
from triptych.errors import EvaluationError, GenerationError
from triptych.evaluate.compare import tally_of
from triptych.evaluate.config import GroundingTaskConfig
from triptych.evaluate.metrics.grounded_captions import GroundedCaptions
from triptych.evaluate.records import read_records
from triptych.evaluate.run import evaluate
from triptych.evaluate.scoring.bootstrap import intervals
from triptych.evaluate.scoring.regions import alike
from triptych.evaluate.tasks.question import readable
from triptych.generate.config import GenerationSettings
from triptych.grounding.grounding import Grounding

TASK = GroundingTaskConfig(data="boxes", generation=GenerationSettings(batch_size=7))
NOTHING = Grounding((), verdict="none")


def run(grounder: FakeGrounder, source: FakeBoxes, path: Path, task: GroundingTaskConfig = TASK, **options: Any) -> Any:
    return evaluate(grounder, source, task, path, progress=False, **options)


def test_who_knows_where_everything_is_has_every_point(tmp_path: Path) -> None:
    source = FakeBoxes()
    result = run(FakeGrounder(knows(source)), source, tmp_path)
    scores = {name: interval.value for name, interval in result.metrics.items()}
    assert scores.pop("repaired") == scores.pop("invalid") == 0
    assert set(scores) == {
        "acc_50", "mean_iou", "pointing", "several_exact", "several_f1", "phrase_r1_any", "phrase_r1_merged", "none_precision",
        "none_recall", "none_f1", "name_accuracy", "all_accuracy", "none_accuracy", "valid",
    }  # fmt: skip
    assert scores.pop("phrase_r1_merged") < 1  # one of two boxes is not the box around them
    assert set(scores.values()) == {1.0}
    assert result.questions == 240 and result.samples == 40
    assert result.prompt == "Point at {expression}!", "what the grounder says around an expression"
    assert result.control["acc_50"].value < 0.2, "other pictures have other boxes"
    assert result.baselines["mean_box"].metrics["acc_50"].value < 0.3
    assert result.baselines["mean_box"].difference["acc_50"].low > 0.5


def test_scores_are_those_counted_by_hand(tmp_path: Path) -> None:
    """Every kind of answer once, to a world of one picture."""
    box = Region((10, 10, 20, 20), FRAME)

    class World(FakeBoxes):
        def expressions(self, index: int) -> Any:
            from triptych.conversation.expression import Expression

            other = Region((0, 0, 10, 10), FRAME)
            return (
                Expression("exact", (box,), "name"),
                Expression("near", (box,), "name"),
                Expression("far", (box,), "place"),
                Expression("silent", (box,), "place"),
                Expression("garbled", (box,), "place"),
                Expression("two", (box, other), "all"),
                Expression("two and one more", (box, other), "all"),
                Expression("one of two", (box, other), "all"),
                Expression("nothing", (), "none"),
                Expression("a ghost", (), "none"),
                Expression("a garbled ghost", (), "none"),
            )

    def at(*boxes: tuple[float, float, float, float], **more: Any) -> Grounding:
        return Grounding(tuple(Region(each, FRAME) for each in boxes), **more)

    whole, other = (10, 10, 20, 20), (0, 0, 10, 10)
    says = {
        "exact": at(whole),
        "near": at(other, (10, 10, 20, 18), scores=(0.2, 0.9)),  # the surest counts: IoU 0.8
        "far": at((0, 10, 12, 20), verdict="repaired"),  # IoU 20 / 200
        "silent": NOTHING,
        "garbled": Grounding((), text="<box>", verdict="invalid"),
        "two": at(other, whole),
        "two and one more": at(other, whole, (30, 20, 40, 30)),
        "one of two": at(other),
        "nothing": NOTHING,
        "a ghost": at(whole),
        "a garbled ghost": Grounding((), text="?", verdict="invalid"),
    }
    task = TASK.model_copy(update={"control": False})
    result = run(FakeGrounder(lambda _, text: says[text]), World(1), tmp_path, task)
    scores = {name: interval.value for name, interval in result.metrics.items()}
    assert scores == pytest.approx(
        {
            "acc_50": 2 / 5,
            "mean_iou": (1 + 0.8 + 20 / 200) / 5,
            "pointing": 2 / 5,  # the centre of "far" is outside
            "several_exact": 1 / 3,
            "several_f1": (1 + 2 * 2 / 5 + 2 * 1 / 3) / 3,
            "phrase_r1_any": (2 + 3) / 8,
            "phrase_r1_merged": 2 / 8,
            "none_precision": 1 / 2,
            "none_recall": 1 / 3,
            "none_f1": 2 * 1 / (2 + 3),
            "name_accuracy": 1,
            "place_accuracy": 0,
            "all_accuracy": 1 / 3,
            "none_accuracy": 1 / 3,
            "valid": 8 / 11,
            "repaired": 1 / 11,
            "invalid": 2 / 11,
        }
    )
    assert result.unparsed.count == 2
    assert result.chance["none_f1"] == pytest.approx(2 * 3 / (11 + 3))


def test_masks_are_scored_by_the_sums_and_by_the_mean_and_boxes_stand_in_for_missing_ones(tmp_path: Path) -> None:
    source = FakeBoxes(12, masks=True)
    task = TASK.model_copy(update={"masks": True, "control": False})
    exact = run(FakeGrounder(knows(source)), source, tmp_path / "masks", task)
    assert exact.metrics["ciou"].value == exact.metrics["giou"].value == 1

    def unmasked(number: int, text: str) -> Grounding:
        given = knows(source)(number, text)
        return replace(given, regions=tuple(replace(region, mask=None) for region in given.regions))

    boxes = run(FakeGrounder(unmasked), source, tmp_path / "boxes", task)
    inter, union, each = 0, 0, []
    for i in range(12):
        for expression in source.expressions(i):
            truth, found = np.zeros((30, 40), bool), np.zeros((30, 40), bool)
            for region in expression.regions:
                left, top, right, bottom = (int(value) for value in region.box)
                truth |= half(region).decode()
                found[top:bottom, left:right] = True
            both, either = int((truth & found).sum()), int((truth | found).sum())
            inter, union = inter + both, union + either
            each.append(both / either if either else 1.0)
    assert boxes.metrics["ciou"].value == pytest.approx(inter / union)
    assert boxes.metrics["giou"].value == pytest.approx(sum(each) / len(each))


def test_the_mean_box_is_drawn_in_pixels_where_there_is_nothing_too(tmp_path: Path) -> None:
    """A box given to "none" fills its pixels, and is right about none of them."""
    source = FakeBoxes(12, masks=True)
    task = TASK.model_copy(update={"masks": True, "control": False})
    result = run(FakeGrounder(knows(source)), source, tmp_path, task)
    asked = [expression for i in range(12) for expression in source.expressions(i)]
    mean = np.mean([region.box for expression in asked for region in expression.regions], axis=0).round().astype(int)
    box = np.zeros((30, 40), bool)
    box[mean[1] : mean[3], mean[0] : mean[2]] = True
    truths = [np.any([np.zeros((30, 40)), *(half(r).decode() for r in each.regions)], axis=0) for each in asked]
    assert not all(truth.any() for truth in truths)
    both, either = (np.array([f(truth, box).sum() for truth in truths]) for f in (np.logical_and, np.logical_or))
    baseline = result.baselines["mean_box"].metrics
    assert baseline["ciou"].value == pytest.approx(both.sum() / either.sum())
    assert baseline["giou"].value == pytest.approx((both / either).mean())


def test_only_who_says_none_is_right_about_an_empty_mask(tmp_path: Path) -> None:
    """What cannot be read, and what was never answered, is worth nothing."""
    source = FakeBoxes(2, masks=True)
    task = TASK.model_copy(update={"masks": True, "control": False, "failed_share": 1.0})
    empty = sum(not each.regions for index in range(2) for each in source.expressions(index))

    def garbled(number: int, text: str) -> Grounding:
        return Grounding((), text="[0.1,", verdict="invalid")

    def failing(number: int, text: str) -> Grounding:
        raise GenerationError("too long")

    says_none = run(FakeGrounder(lambda *_: NOTHING), source, tmp_path / "none", task).metrics
    assert says_none["giou"].value == pytest.approx(empty / 12) and says_none["ciou"].value == 0
    for name, point in (("garbled", garbled), ("failing", failing)):
        metrics = run(FakeGrounder(point), source, tmp_path / name, task).metrics
        assert (metrics["giou"].value, metrics["ciou"].value) == (0, 0), name


def test_regions_in_shares_of_the_picture_are_scored_in_its_pixels(tmp_path: Path) -> None:
    """As readers give them that do not know a picture's size."""
    source = FakeBoxes(8, masks=True)
    task = TASK.model_copy(update={"masks": True, "control": False})

    class Shares(FakeBoxes):
        def expressions(self, index: int) -> Any:
            return tuple(
                replace(each, regions=tuple(region.to(NORMALISED) for region in each.regions))
                for each in source.expressions(index)
            )

    def apart(number: int, text: str) -> Grounding:
        given = knows(source)(number, text)
        return replace(given, regions=tuple(replace(region, mask=None) for region in given.regions))

    pixels = run(FakeGrounder(apart), source, tmp_path / "pixels", task).metrics
    shares = run(FakeGrounder(apart), Shares(8, masks=True), tmp_path / "shares", task).metrics
    assert 0 < pixels["ciou"].value < 1
    assert (shares["ciou"], shares["giou"]) == (pixels["ciou"], pixels["giou"])


def test_captions_are_asked_of_who_can_describe_and_scored_by_phrase_and_place(tmp_path: Path) -> None:
    source = FakeBoxes(10, captions=True)
    mute = run(FakeGrounder(knows(source)), source, tmp_path / "mute")
    assert "caption_recall" not in mute.metrics
    describer = FakeDescriber(knows(source))
    describer.source = source
    result = run(describer, source, tmp_path / "speaks")
    assert result.prompt == "Point at {expression}!\nWhat is there?"
    for name in ("caption_ap_50", "caption_miou", "caption_recall"):
        assert result.metrics[name].value == pytest.approx(1.0), name
        assert result.control[name].value < 0.5, name
    # A describer that calls everything by another name is in the right places with the wrong words.
    blind = FakeDescriber(knows(source))
    blind.source = source
    described = describer.describe_many
    blind.describe_many = lambda images: [  # type: ignore[method-assign]
        replace(each, regions=tuple(replace(region, name="stuff") for region in each.regions))
        for each in described(images)
    ]
    result = run(blind, source, tmp_path / "names")
    assert result.metrics["caption_ap_50"].value == pytest.approx(1.0)
    assert result.metrics["caption_recall"].value == 0


def test_average_precision_of_captions_is_that_of_cocoeval(tmp_path: Path) -> None:
    pytest.importorskip("pycocotools")
    from triptych.evaluate.tasks.question import Record
    from triptych.grounding.serial import region_values

    generator = np.random.default_rng(0)
    truths, found, records = [], [], []
    for image in range(15):
        values: dict[str, list[Any]] = {"truth": [], "found": []}
        for _ in range(int(generator.integers(1, 5))):
            corner, size = generator.integers(0, 60, 2), generator.integers(5, 40, 2)
            box = [*map(float, corner), *map(float, corner + size)]
            values["truth"].append(region_values(Region(tuple(box), FRAME)))  # type: ignore[arg-type]
            truths.append({"id": len(truths) + 1, "image_id": image + 1, "category_id": 1, "iscrowd": 0,
                           "bbox": [*map(float, corner), *map(float, size)], "area": float(size.prod())})  # fmt: skip
            if generator.random() < 0.8:
                moved = corner + generator.integers(-4, 5, 2)
                box = [*map(float, moved), *map(float, moved + size)]
                score = float(generator.integers(1, 9)) / 10
                values["found"].append(region_values(Region(tuple(box), FRAME), score))  # type: ignore[arg-type]
                found.append({"image_id": image + 1, "category_id": 1, "score": score,
                              "bbox": [*map(float, moved), *map(float, size)]})  # fmt: skip
        records.append(Record(str(image), "caption", "", "", "", "stop", 0, 0.0, image, regions=values))

    import contextlib
    import io

    from pycocotools.coco import COCO
    from pycocotools.cocoeval import COCOeval

    with contextlib.redirect_stdout(io.StringIO()):
        coco = COCO()
        coco.dataset = {"images": [{"id": i + 1} for i in range(15)], "categories": [{"id": 1}], "annotations": truths}
        coco.createIndex()
        evaluation = COCOeval(coco, coco.loadRes(found), "bbox")
        evaluation.evaluate()
        evaluation.accumulate()
        evaluation.summarize()
    ours = intervals(GroundedCaptions().tally(records), resamples=50)
    assert ours["caption_ap_50"].value == pytest.approx(evaluation.stats[1], abs=1e-12)


def test_an_evaluation_that_was_stopped_goes_on_and_asks_nothing_twice(tmp_path: Path) -> None:
    source = FakeBoxes(8)
    whole = run(FakeGrounder(knows(source)), source, tmp_path / "whole")

    class StoppedError(Exception):
        pass

    def stops(after: int) -> Callable[[int, str], Grounding]:
        left = iter(range(after))
        right = knows(source)

        def point(number: int, text: str) -> Grounding:
            if next(left, None) is None:
                raise StoppedError
            return right(number, text)

        return point

    with pytest.raises(StoppedError):
        run(FakeGrounder(stops(20)), source, tmp_path / "parts")
    kept = read_records(tmp_path / "parts" / "evaluation" / "boxes.jsonl")
    assert len(kept) == 14  # two batches of seven
    rest = FakeGrounder(knows(source))
    again = run(rest, source, tmp_path / "parts")
    assert again.metrics == whole.metrics and again.control == whole.control
    assert len(rest.asked) == 2 * 48 - 14
    with pytest.raises(EvaluationError, match="fingerprint"):
        run(rest, source, tmp_path / "parts", fingerprint="another")
    assert run(rest, source, tmp_path / "parts", fingerprint="another", fresh=True).metrics == whole.metrics


def test_records_hold_the_regions_and_give_the_same_scores_again(tmp_path: Path) -> None:
    source = FakeBoxes(6, masks=True)
    task = TASK.model_copy(update={"masks": True})
    result = run(FakeGrounder(knows(source)), source, tmp_path, task)
    lines = (tmp_path / "evaluation" / "boxes.jsonl").read_text().splitlines()
    first = json.loads(lines[0])
    assert first["regions"]["truth"] == [] or first["regions"]["truth"][0]["size"] == [40, 30]
    records = list(read_records(tmp_path / "evaluation" / "boxes.jsonl").values())
    assert intervals(tally_of(result, records)) == result.metrics


def test_one_question_that_fails_takes_no_other_along(tmp_path: Path) -> None:
    source = FakeBoxes(20)
    right = knows(source)

    def point(number: int, text: str) -> Grounding:
        if (number, text) == (3, "the dog"):
            raise GenerationError("too long")
        return right(number, text)

    result = run(FakeGrounder(point), source, tmp_path, TASK.model_copy(update={"control": False}))
    assert sum(result.failed.values()) <= 1
    assert result.metrics["valid"].value >= 119 / 120
    with pytest.raises(EvaluationError, match="cannot be asked"):
        run(FakeGrounder(lambda *_: (_ for _ in ()).throw(GenerationError("never"))), source, tmp_path / "never")


def test_the_mean_box_is_that_of_the_training_boxes(tmp_path: Path) -> None:
    class Training(FakeBoxes):
        def regions(self, index: int) -> list[Region]:
            return [Region((10, 10, 20, 20), FRAME, "dog")]

    class Same(FakeBoxes):
        def regions(self, index: int) -> list[Region]:
            left = 10 if index % 2 else 25
            return [Region((left, 10, left + 10, 20), FRAME, "dog")]

    source = Same(10)
    result = run(FakeGrounder(knows(source)), source, tmp_path, train_source=Training(5))
    baseline = result.baselines["mean_box"].metrics
    assert baseline["acc_50"].value == pytest.approx(0.5)
    assert baseline["mean_iou"].value == pytest.approx(0.5)
    assert baseline["none_recall"].value == 0


def test_a_dataset_without_expressions_is_refused_with_a_hint(tmp_path: Path) -> None:
    class Empty(FakeBoxes):
        def expressions(self, index: int) -> Any:
            return ()

    with pytest.raises(EvaluationError, match="kind: referring"):
        run(FakeGrounder(lambda *_: NOTHING), Empty(3), tmp_path)
    with pytest.raises(EvaluationError, match="cannot be read"):
        run(FakeGrounder(lambda *_: NOTHING), FakeBoxes(4, broken=[0, 1]), tmp_path)


@pytest.mark.parametrize(
    ("one", "other", "score"),
    [
        ("the dog", "a Dog", 1.0),
        ("two dogs", "dogs", 2 / 3),
        ("a red cup", "a cup", 2 / 3),
        ("dog", "cat", 0.0),
        ("", "", 0.0),
    ],
)
def test_phrases_are_alike_by_their_words(one: str, other: str, score: float) -> None:
    assert alike(one, other) == pytest.approx(score)


def test_what_cannot_be_read_is_left_out_and_counted_by_its_reason() -> None:
    source, faults = FakeBoxes(4, broken=[0, 2]), Counter[str]()
    read = [index for index, conversation in readable(source, faults) if conversation.id == source[index].id]
    assert read == [1, 3] and faults.total() == 2
