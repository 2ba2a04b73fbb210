"""Readers of boxes on tiny files written by hand, in the layouts that the datasets have."""

from __future__ import annotations

import json
import pickle
import re
from pathlib import Path
from typing import Any

import pytest
from PIL import Image as Pillow

from triptych.conversation import Conversation, Frame, Region
from triptych.conversation.expression import NONE, Expression
from triptych.data.config import (
    CocoInstancesConfig,
    Flickr30kConfig,
    LlavaConfig,
    RefcocoConfig,
    VisualGenomeConfig,
)
from triptych.data.sources import Source, build
from triptych.errors import DataError

FRAME = Frame(100, 80)


@pytest.fixture
def images(tmp_path: Path) -> Path:
    folder = tmp_path / "images"
    folder.mkdir()
    for name in ("1.jpg", "2.jpg", "3.jpg"):
        Pillow.new("RGB", (100, 80), "gray").save(folder / name)
    Pillow.new("RGB", (5, 5)).save(tmp_path / "secret.jpg")
    return folder


def write(path: Path, value: Any) -> Path:
    path.write_text(value if isinstance(value, str) else json.dumps(value), encoding="utf-8")
    return path


def asked(conversation: Conversation) -> dict[str, list[tuple[float, ...]]]:
    return {e.text: [region.box for region in e.regions] for e in conversation.annotations["grounding"]}


def all_of(source: Source) -> tuple[list[Conversation], list[str]]:
    """What can be read, and the complaints about the rest."""
    read, complaints = [], []
    for i in range(len(source)):
        try:
            read.append(source[i])
        except DataError as error:
            complaints.append(str(error))
    return read, complaints


COCO: dict[str, Any] = {
    "images": [
        {"id": 1, "file_name": "1.jpg", "width": 100, "height": 80},
        {"id": 2, "file_name": "2.jpg"},
        {"id": 3, "file_name": "../secret.jpg"},
        {"id": 4, "file_name": "3.jpg"},
    ],
    "categories": [{"id": 7, "name": "dog"}, {"id": 8, "name": "person"}, {"id": 9, "name": "cup"}],
    "annotations": [
        {"id": 10, "image_id": 1, "category_id": 7, "bbox": [10, 20, 30, 40], "iscrowd": 0,
         "segmentation": [[10, 20, 40, 20, 40, 60, 10, 60]]},
        {"id": 11, "image_id": 1, "category_id": 8, "bbox": [50, 0, 20, 80], "iscrowd": 0},
        {"id": 12, "image_id": 1, "category_id": 8, "bbox": [5, 0, 20, 80], "iscrowd": 0},
        {"id": 13, "image_id": 1, "category_id": 9, "bbox": [0, 0, 90, 80], "iscrowd": 1},
        {"id": 14, "image_id": 2, "category_id": 7, "bbox": [90, 70, 12, 11.5], "iscrowd": 0},
        {"id": 15, "image_id": 3, "category_id": 7, "bbox": [0, 0, 5, 5], "iscrowd": 0},
    ],
}  # fmt: skip


def test_coco_asks_for_one_for_every_and_never_for_crowds(tmp_path: Path, images: Path) -> None:
    path = write(tmp_path / "instances.json", COCO)
    source = build(CocoInstancesConfig(annotations=path, images=images, masks=True))
    (first, second), complaints = all_of(source)
    assert asked(first) == {"the dog": [(10, 20, 40, 60)], "every person": [(5, 0, 25, 80), (50, 0, 70, 80)]}
    assert asked(second) == {"the dog": [(90, 70, 100, 80)]}  # clipped; its size is the file's
    assert len(complaints) == 1 and "leads out of" in complaints[0] and "image 3" in complaints[0]
    (dog,) = first.annotations["grounding"][0].regions
    assert dog.mask is not None and dog.mask.area == pytest.approx(1200, abs=80)
    assert [part for part in first.messages[1].parts if isinstance(part, str)] == ["dog"]
    assert [m.text for m in first.messages][::2] == ["Find the dog.", "Find every person."]
    assert len({c.id for c in (first, second)}) == 2


def test_coco_asks_for_what_is_not_there_at_the_share_that_is_wanted(tmp_path: Path, images: Path) -> None:
    many = {**COCO, "categories": [{"id": i, "name": f"thing {i}"} for i in range(40)],
            "images": [{"id": i, "file_name": "1.jpg"} for i in range(60)],
            "annotations": [{"image_id": i, "category_id": (i * 7 + k) % 40, "bbox": [0, 0, 50, 50]}
                            for i in range(60) for k in range(5)]}  # fmt: skip
    path = write(tmp_path / "instances.json", many)
    conversations, _ = all_of(build(CocoInstancesConfig(annotations=path, images=images, none=0.25)))
    expressions: list[Expression] = [e for c in conversations for e in c.annotations["grounding"]]
    share = sum(not e.regions for e in expressions) / len(expressions)
    assert 0.18 < share < 0.32
    for conversation in conversations:
        for expression, answer in zip(conversation.annotations["grounding"], conversation.messages[1::2], strict=True):
            assert (answer.parts == (NONE,)) == (not expression.regions)


def test_coco_cannot_ask_for_more_that_is_not_there_than_for_what_is(tmp_path: Path, images: Path) -> None:
    with pytest.raises(ValueError, match=r"less than or equal to 0\.5"):
        CocoInstancesConfig(annotations=tmp_path / "instances.json", images=images, none=0.8)
    few = {**COCO, "images": [{"id": i, "file_name": "1.jpg"} for i in range(9)],
           "annotations": [{"image_id": i, "category_id": 7, "bbox": [0, 0, 50, 50]} for i in range(9)]}  # fmt: skip
    path = write(tmp_path / "instances.json", few)
    conversations, _ = all_of(build(CocoInstancesConfig(annotations=path, images=images, none=0.5)))
    expressions: list[Expression] = [e for c in conversations for e in c.annotations["grounding"]]
    assert len(expressions) == 18 and sum(not e.regions for e in expressions) == 9


def test_pictures_have_the_size_that_was_annotated(tmp_path: Path, images: Path) -> None:
    exif = Pillow.Exif()
    exif[0x0112] = 6  # a camera held upright: stored as 100 × 80, seen as 80 × 100
    Pillow.new("RGB", (100, 80), "gray").save(images / "turned.jpg", exif=exif)
    cases = (
        ("1.jpg", 100, 80),
        ("1.jpg", 100.0, 80.0),
        ("turned.jpg", 80, 100),
        ("turned.jpg", 100, 80),
        ("1.jpg", 50, 40),
    )
    rows = [{"file_name": name, "bbox": [0, 0, 9, 9], "phrase": "dog", "width": w, "height": h} for name, w, h in cases]
    read, complaints = all_of(build(RefcocoConfig(path=write(tmp_path / "refs.json", rows), images=images)))
    frames = [conversation.annotations["grounding"][0].regions[0].frame for conversation in read]
    assert frames == [FRAME, FRAME, Frame(80, 100)]
    for complaint, said in zip(complaints, ("80 × 100 pixels when it is upright", "about 50 × 40"), strict=True):
        assert said in complaint and "refs.json:" in complaint
    coco = {**COCO, "images": [{"id": 1, "file_name": "turned.jpg", "width": 100, "height": 80}]}
    source = build(CocoInstancesConfig(annotations=write(tmp_path / "instances.json", coco), images=images))
    assert "turned.jpg: has 80 × 100" in all_of(source)[1][0]


MASKS: list[tuple[Any, str]] = [
    ({"size": [100, 80], "counts": [0, 8000]}, r"the size \[100, 80\] .* \[80, 100\]"),
    ({"size": [100_000, 100_000], "counts": [0, 10**10]}, r"the size \[100000, 100000\]"),
    ([[0, 0, 1e12, 0, 9, 9]], "reaches 1e\\+12"),
    ([[0, 0, float("nan"), 0, 9, 9]], "reaches nan"),
    ([[0, 0, float("-inf"), 0, 9, 9]], "reaches -inf"),
    ([[0, 0, 9, 9]], "no polygon has three points"),
    ([0, 0, 9, 9, 9, 0], "not a mask"),
]


@pytest.mark.parametrize(("segmentation", "says"), MASKS)
def test_masks_that_are_none_of_their_picture_are_complaints(
    segmentation: Any, says: str, tmp_path: Path, images: Path
) -> None:
    annotation = {**COCO["annotations"][0], "segmentation": segmentation}
    path = write(tmp_path / "instances.json", {**COCO, "annotations": [annotation]})
    read, (complaint,) = all_of(build(CocoInstancesConfig(annotations=path, images=images, masks=True)))
    assert not read and "image 1: not a mask" in complaint and re.search(says, complaint)


def test_masks_may_reach_over_the_edge_as_annotators_draw_them(tmp_path: Path, images: Path) -> None:
    segmentation = [[-0.4, 20, 40, 20, 40, 80.6, 10, 60], [1, 2, 3, 4]]  # the second is no polygon: COCO has such
    annotation = {**COCO["annotations"][0], "segmentation": segmentation}
    path = write(tmp_path / "instances.json", {**COCO, "annotations": [annotation]})
    (conversation,), _ = all_of(build(CocoInstancesConfig(annotations=path, images=images, masks=True)))
    mask = conversation.annotations["grounding"][0].regions[0].mask
    assert mask is not None and mask.decode().shape == (80, 100) and mask.area > 1000


def test_the_recipe_words_the_questions(tmp_path: Path, images: Path) -> None:
    wordings = ("Please segment {expression} in this image.", "Where is {expression}?")
    rows = [{"file_name": "1.jpg", "bbox": [0, 0, 9, 9], "expressions": [f"dog {n}" for n in range(40)]}]
    path = write(tmp_path / "refs.json", rows)
    config = RefcocoConfig(path=path, images=images, wordings=wordings)
    questions = [message.text for c in all_of(build(config))[0] for message in c.messages[::2]]
    for n, question in enumerate(questions):
        assert question in {wording.format(expression=f"dog {n}") for wording in wordings}
    assert 10 < sum(question.startswith("Please") for question in questions) < 30
    assert [m.text for c in all_of(build(config))[0] for m in c.messages[::2]] == questions
    with pytest.raises(ValueError, match=r"needs `\{expression\}` once"):
        RefcocoConfig(path=path, images=images, wordings=("Find it.",))


def test_coco_leaves_out_what_the_recipe_does_not_want(tmp_path: Path, images: Path) -> None:
    path = write(tmp_path / "instances.json", COCO)
    one = build(CocoInstancesConfig(annotations=path, images=images, several=False, answer="regions", limit=1))
    assert len(one) == 1
    assert list(asked(one[0])) == ["the dog"]
    assert [type(part) for part in one[0].messages[1].parts] == [Region]
    large = build(CocoInstancesConfig(annotations=path, images=images, smallest=0.2))
    assert list(asked(large[0])) == ["every person"] or "the dog" not in asked(large[0])
    with pytest.raises(DataError, match="COCO's format"):
        build(CocoInstancesConfig(annotations=write(tmp_path / "x.json", {"images": []}), images=images))


def refs(**more: Any) -> dict[str, Any]:
    return {"ref_id": 5, "ann_id": 10, "image_id": 1, "split": "train", "file_name": "COCO_train2014_1_10.jpg",
            "sentences": [{"sent": "left dog", "raw": "Left dog!"}, {"raw": "the dog"}, {"sent": "left dog"}], **more}  # fmt: skip


def test_refcoco_of_the_official_layout(tmp_path: Path, images: Path) -> None:
    instances = write(tmp_path / "instances.json", COCO)
    path = write(tmp_path / "refs.json", [refs(), refs(split="val", ann_id=11), refs(ann_id=99), refs(sentences=[])])
    source = build(RefcocoConfig(path=path, images=images, instances=instances, split="train", masks=True))
    (first,), complaints = all_of(source)
    assert asked(first) == {"left dog": [(10, 20, 40, 60)], "the dog": [(10, 20, 40, 60)]}
    assert first.annotations["grounding"][0].regions[0].mask is not None
    assert first.annotations["split"] == "train"
    assert first.messages[1].parts[0] == "left dog"
    assert len(complaints) == 2 and "99" in complaints[0] and "no expression" in complaints[1]
    assert all("refs.json:" in each for each in complaints)
    validation = build(RefcocoConfig(path=path, images=images, instances=instances, split="val"))
    assert asked(validation[0])["the dog"] == [(50, 0, 70, 80)]
    with pytest.raises(DataError, match="no records of the split 'testA'"):
        build(RefcocoConfig(path=path, images=images, instances=instances, split="testA"))


HUGE = int("9" * 400)


def test_values_of_other_kinds_are_complaints_about_their_record(tmp_path: Path, images: Path) -> None:
    bare = {**COCO, "annotations": [*COCO["annotations"], {"id": 16, "image_id": 1, "category_id": 7}]}
    rows: list[dict[str, Any]] = [
        {"file_name": "1.jpg", "bbox": [0, 0, 9, 9], "phrase": 5},
        refs(ann_id=[10]),
        refs(ann_id=16),
        refs(image_id=[1], ann_id=None, bbox=[HUGE, 0, 9, 9]),
        {"file_name": "1.jpg", "bbox": [0, 0, 9, 9], "phrase": "dog", "width": HUGE, "height": HUGE},
    ]
    path = write(tmp_path / "refs.json", rows)
    instances = write(tmp_path / "instances.json", bare)
    (last,), complaints = all_of(build(RefcocoConfig(path=path, images=images, instances=instances)))
    assert asked(last) == {"dog": [(0, 0, 9, 9)]} and last.annotations["grounding"][0].regions[0].frame == FRAME
    for complaint, said in zip(complaints, ("no expression", "[10] is not among", "a box", "COCO_train"), strict=True):
        assert said in complaint and "refs.json:" in complaint


KEYS = [("images", "id"), ("categories", "id"), ("annotations", "category_id"), ("annotations", "image_id")]


@pytest.mark.parametrize(("part", "key"), KEYS)
def test_ids_that_nothing_can_be_found_by_are_refused(part: str, key: str, tmp_path: Path, images: Path) -> None:
    *others, last = COCO[part]
    for broken in ({**last, key: [1]}, {k: v for k, v in last.items() if k != key}):
        path = write(tmp_path / "instances.json", {**COCO, part: [*others, broken]})
        said = rf"instances.json: expected a number or a name as '{key}' of {part}\[{len(others)}\]"
        with pytest.raises(DataError, match=said):
            build(CocoInstancesConfig(annotations=path, images=images))
    huge = {**COCO, "annotations": [{"image_id": 1, "category_id": 7, "bbox": [0, 0, HUGE, HUGE]}]}
    path = write(tmp_path / "huge.json", huge)
    assert "expected a box" in all_of(build(CocoInstancesConfig(annotations=path, images=images)))[1][0]


def test_refcoco_with_boxes_inline_as_json_lines_or_parquet(tmp_path: Path, images: Path) -> None:
    rows: list[dict[str, Any]] = [
        {"question_id": "a", "file_name": "1.jpg", "bbox": [10.0, 20.0, 30.0, 40.0], "answer": ["small dog", "dog"]},
        {"question_id": "b", "file_name": "2.jpg", "bbox": [200.0, 0.0, 30.0, 40.0], "answer": ["off the picture"]},
    ]
    path = write(tmp_path / "refs.jsonl", "\n".join(json.dumps(row) for row in rows))
    (first,), complaints = all_of(build(RefcocoConfig(path=path, images=images)))
    assert asked(first) == {"small dog": [(10, 20, 40, 60)], "dog": [(10, 20, 40, 60)]}
    assert "covers nothing of the picture" in complaints[0]
    corners = build(RefcocoConfig(path=path, images=images, boxes="xyxy", turns=1))
    assert asked(corners[0]) == {"small dog": [(10, 20, 30, 40)]}
    assert asked(corners[1]) == {"dog": [(10, 20, 30, 40)]}

    parquet = pytest.importorskip("pyarrow.parquet")
    pyarrow = pytest.importorskip("pyarrow")
    rows[0]["image"] = {"bytes": (images / "1.jpg").read_bytes(), "path": None}
    rows[1]["image"] = {"bytes": b"not a picture", "path": None}
    parquet.write_table(pyarrow.Table.from_pylist(rows), tmp_path / "refs.parquet", row_group_size=1)
    source = build(RefcocoConfig(path=tmp_path / "refs.parquet", images=images))
    (first,), complaints = all_of(pickle.loads(pickle.dumps(source)))
    assert asked(first)["dog"] == [(10, 20, 40, 60)]
    assert "row 1" in complaints[0]


def test_a_pickle_is_not_read_and_nothing_in_it_runs(tmp_path: Path, images: Path) -> None:
    class Bomb:
        def __reduce__(self) -> tuple[Any, ...]:
            return (Path.touch, (tmp_path / "ran",))

    (tmp_path / "refs(unc).p").write_bytes(pickle.dumps([Bomb()]))
    with pytest.raises(DataError, match="Convert it once"):
        build(RefcocoConfig(path=tmp_path / "refs(unc).p", images=images))
    assert not (tmp_path / "ran").exists()


def test_visual_genome_describes_regions_so_many_a_conversation(tmp_path: Path, images: Path) -> None:
    (images / "VG_100K").mkdir()
    Pillow.new("RGB", (100, 80)).save(images / "VG_100K" / "8.jpg")

    def region(number: int, phrase: str) -> dict[str, Any]:
        return {"region_id": number, "phrase": phrase, "x": 10 * number, "y": 5, "width": 20, "height": 30}

    path = write(tmp_path / "regions.json", [
        {"id": 8, "regions": [region(1, "a red cup "), region(2, "the table"), region(3, "man in black")]},
        {"id": 2, "regions": [region(1, "")]},
        {"id": "../secret", "regions": [region(1, "out")]},
        {"id": 1, "regions": "none"},
    ])  # fmt: skip
    read, complaints = all_of(build(VisualGenomeConfig(path=path, images=images, turns=2)))
    assert [asked(c) for c in read] == [
        {"a red cup": [(10, 5, 30, 35)], "the table": [(20, 5, 40, 35)]},
        {"man in black": [(30, 5, 50, 35)]},
    ]
    assert len(complaints) == 3
    assert "no phrase" in complaints[0] and "leads out" in complaints[1] and "regions.json:1" in complaints[2]


FLICKR = """[/EN#1/people A man] with [/EN#2/animals/other his dogs] stands [/EN#0/notvisual there] .
[/EN#3/scene Outside] it rains .
"""
XML = """<annotation><filename>1.jpg</filename><size><width>100</width><height>80</height><depth>3</depth></size>
<object><name>1</name><bndbox><xmin>11</xmin><ymin>21</ymin><xmax>40</xmax><ymax>60</ymax></bndbox></object>
<object><name>2</name><bndbox><xmin>1</xmin><ymin>1</ymin><xmax>10</xmax><ymax>10</ymax></bndbox></object>
<object><name>2</name><bndbox><xmin>51</xmin><ymin>1</ymin><xmax>60</xmax><ymax>10</ymax></bndbox></object>
<object><name>3</name><scene>1</scene><nobndbox>1</nobndbox></object></annotation>"""


@pytest.fixture
def flickr(tmp_path: Path) -> Path:
    for folder in ("Sentences", "Annotations"):
        (tmp_path / "flickr" / folder).mkdir(parents=True)
    write(tmp_path / "flickr" / "Sentences" / "1.txt", FLICKR)
    write(tmp_path / "flickr" / "Annotations" / "1.xml", XML)
    return tmp_path / "flickr"


def test_flickr30k_asks_for_phrases_or_tells_the_caption_with_regions(flickr: Path, images: Path) -> None:
    (first,), complaints = all_of(build(Flickr30kConfig(path=flickr, images=images)))
    dogs = [(0.0, 0.0, 10.0, 10.0), (50.0, 0.0, 60.0, 10.0)]
    assert asked(first) == {"A man": [(10, 20, 40, 60)], "his dogs": dogs}
    assert [e.kind for e in first.annotations["grounding"]] == ["people", "animals"]
    assert "no phrase of the caption has a box" in complaints[0]
    (told,), _ = all_of(build(Flickr30kConfig(path=flickr, images=images, style="captions")))
    assert told.annotations["caption"] == "A man with his dogs stands there."
    parts = told.messages[1].parts
    assert [part if isinstance(part, str) else part.name for part in parts] == [
        "A man", "A man", " with ", "his dogs", "his dogs", "his dogs", " stands ", "there", ".",
    ]  # fmt: skip
    assert [e.text for e in told.annotations["grounded_caption"]] == ["A man", "his dogs"]


def test_flickr30k_asks_for_every_phrase_with_a_box(flickr: Path, images: Path) -> None:
    caption = " ".join(f"[/EN#{n}/other thing {n}]" for n in (1, 3, 2, 1, 0, 2, 1, 2))  # six of these have boxes
    write(flickr / "Sentences" / "1.txt", f"{caption} .\n{FLICKR}")
    read, complaints = all_of(build(Flickr30kConfig(path=flickr, images=images, turns=4)))
    asked_for = [[e.text for e in conversation.annotations["grounding"]] for conversation in read]
    assert asked_for == [["thing 1", "thing 2", "thing 1", "thing 2"], ["thing 1", "thing 2"], ["A man", "his dogs"]]
    assert [conversation.id for conversation in read] == ["1/0/0", "1/0/1", "1/1/0"]
    assert [len(conversation.messages) for conversation in read] == [8, 4, 4] and len(complaints) == 1
    told, _ = all_of(build(Flickr30kConfig(path=flickr, images=images, turns=4, style="captions")))
    assert [conversation.id for conversation in told] == ["1/0", "1/1"]
    write(flickr / "Annotations" / "1.xml", "<annotation>")
    assert len(all_of(build(Flickr30kConfig(path=flickr, images=images, turns=4)))[1]) == 3  # its captions


def test_flickr30k_refuses_what_is_no_annotation(flickr: Path, images: Path, tmp_path: Path) -> None:
    bomb = '<?xml version="1.0"?><!DOCTYPE a [<!ENTITY b "bb">]><annotation>&b;</annotation>'
    for wrong, says in ((bomb, "document type"), ("<annotation>", "malformed XML")):
        write(flickr / "Annotations" / "1.xml", wrong)
        _, complaints = all_of(build(Flickr30kConfig(path=flickr, images=images)))
        assert says in complaints[0]
    split = write(tmp_path / "test.txt", "../../secret\n")
    _, complaints = all_of(build(Flickr30kConfig(path=flickr, images=images, split=split)))
    assert "leads out" in complaints[0]


def test_llava_boxes_become_regions_of_the_picture_or_of_its_square(tmp_path: Path, images: Path) -> None:
    def record(said: str) -> dict[str, Any]:
        return {"id": "x", "image": "1.jpg", "conversations": [
            {"from": "human", "value": "<image>\nWhat is in [0.10, 0.25, 0.50, 0.75]?"}, {"from": "gpt", "value": said}]}  # fmt: skip

    path = write(tmp_path / "llava.json", [
        record("A dog at [0.1, 0.25, 0.5, 0.75] beside a cup."), record("[0.5, 0.2, 0.1, 0.3]"), record("See [1, 2, 3, 4]."),
    ])  # fmt: skip
    (first, last), complaints = all_of(build(LlavaConfig(path=path, images=images, boxes="picture")))
    region = first.messages[1].regions[0]
    assert region.box == pytest.approx((10, 20, 50, 60)) and region.frame == FRAME
    assert [part for part in first.messages[1].parts if isinstance(part, str)] == ["A dog at ", " beside a cup."]
    assert first.messages[0].regions[0].box == region.box
    assert last.messages[1].parts == ("See [1, 2, 3, 4].",)  # no shares, so no box
    assert "wrong order" in complaints[0]
    square = build(LlavaConfig(path=path, images=images, boxes="square"))
    assert square[0].messages[1].regions[0].box == pytest.approx((10, 15, 50, 65))  # ten pixels above are padding
    text = build(LlavaConfig(path=path, images=images))
    assert not any(message.regions for message in text[0].messages)


def test_the_dataset_at_hand_is_read_whole(pytestconfig: pytest.Config) -> None:
    folder = pytestconfig.rootpath.parent / "shared" / "data" / "coco-mini"
    if not folder.is_dir():
        pytest.skip("../shared/data/coco-mini is not here")
    for split in ("train", "val"):
        annotations = folder / "annotations" / f"instances_{split}2017.json"
        source = build(CocoInstancesConfig(annotations=annotations, images=folder / f"{split}2017", masks=True))
        read, complaints = all_of(source)
        assert len(read) > 50 and not complaints
