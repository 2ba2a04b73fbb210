"""Captions in COCO's format, the good and the bad."""

from __future__ import annotations

import json
import pickle
from pathlib import Path

import pytest

from triptych.data.coco import CocoCaptionsSource
from triptych.errors import DataError

SHARED = Path(__file__).parents[2].parent / "shared" / "data"


def image(number, name="good.jpg"):
    return {"id": number, "file_name": name, "width": 32, "height": 24}


def captions(image_id, *texts):
    return [{"id": 100 * image_id + i, "image_id": image_id, "caption": text} for i, text in enumerate(texts)]


@pytest.fixture
def source(write, pictures):
    """Makes a source of these entries."""

    def make(images, annotations, prompts=("Describe it.",), **options):
        path = write("captions.json", {"images": images, "annotations": annotations})
        return CocoCaptionsSource(path, pictures, prompts=prompts, **options)

    return make


def said(conversation):
    return [message.text for message in conversation.messages if message.role == "assistant"]


def test_each_caption_is_a_conversation(source, pictures):
    records = source([image(1), image(2, "other.jpg")], [*captions(2, "A cat.", " A tabby. "), *captions(1, "A dog.")])
    assert [(c.id, said(c)) for c in records] == [("1/0", ["A dog."]), ("2/0", ["A cat."]), ("2/1", ["A tabby."])]
    question, answer = records[2].messages
    assert [medium.source for medium in question.media] == [pictures / "other.jpg"]
    assert question.parts[1:] == ("Describe it.",)
    assert answer.parts == ("A tabby.",)
    assert records[2].annotations["image_id"] == 2
    assert records[2].annotations["references"] == ("A cat.", "A tabby.")


def test_first_gives_a_picture_with_all_references(source):
    records = source([image(1), image(2)], [*captions(1, "a", "b"), *captions(2, "c")], captions="first")
    assert [(c.id, said(c), c.annotations["references"]) for c in records] == [
        ("1/0", ["a"], ("a", "b")),
        ("2/0", ["c"], ("c",)),
    ]


def test_all_asks_for_one_caption_after_another(source):
    (conversation,) = source([image(1)], captions(1, "a", "b", "c"), prompts=("P", "Q"), captions="all")
    assert conversation.id == "1"
    assert said(conversation) == ["a", "b", "c"]
    asked = [message.text for message in conversation.messages if message.role == "user"]
    assert asked in (["P", "Q", "P"], ["Q", "P", "Q"])
    assert len(list(conversation.media)) == 1


def test_the_way_of_asking_depends_on_the_picture_alone(source):
    prompts = ("P", "Q", "R")

    def asked_for(ids):
        records = source([image(i) for i in ids], [c for i in ids for c in captions(i, "x")], prompts)
        return {c.annotations["image_id"]: c.messages[0].text for c in records}

    asked = asked_for(range(0, 900, 3))
    assert asked_for(range(0, 90, 9)).items() <= asked.items()
    assert all(60 <= list(asked.values()).count(prompt) <= 140 for prompt in prompts)


@pytest.mark.parametrize("mode", ["one_per_record", "all", "first"])
def test_what_cannot_be_used_is_refused_alone_and_nothing_else_is_lost(source, mode):
    records = source(
        [image(1), image(2), image(3, "missing.jpg"), image(4, "../secret.jpg"), {"id": 5}],
        [
            *captions(1, "A dog.", "  ", "A hound."),
            {"id": 7, "image_id": 1},
            *captions(3, "x"),
            *captions(4, "x"),
            *captions(99, "x"),
            "nonsense",
        ],
        captions=mode,
    )
    good, bad = [], []
    for i in range(len(records)):
        try:
            good.append(records[i])
        except DataError as error:
            bad.append(str(error))
    assert [text for c in good for text in said(c)] == (["A dog."] if mode == "first" else ["A dog.", "A hound."])
    assert all(c.annotations["references"] == ("A dog.", "A hound.") for c in good)
    for reason in (
        r"image 1: annotations[1] (id 101) is a caption without text",
        r"image 1: annotations[3] (id 7) is a caption without text",
        r"image 2: good.jpg has no caption",
        r"missing.jpg: no such file",
        r"'../secret.jpg' leads out of the images folder",
        r"images[4] has no id or no file_name",
        r"image 99: annotations[6] belongs to no entry of 'images'",
        r"annotations[7] belongs to no entry of 'images'",
    ):
        assert sum(reason in text and str(records.annotations) in text for text in bad) == 1, reason
    assert len(bad) == 8


def test_limit_counts_pictures(source):
    entries = [image(1), image(2), image(3)], [c for i in (1, 2, 3) for c in captions(i, "a", "b")]
    assert [c.id for c in source(*entries, limit=2)] == ["1/0", "1/1", "2/0", "2/1"]
    assert len(source(*entries, limit=2, captions="first")) == 2


@pytest.mark.parametrize(
    ("content", "says"),
    [
        ('{"images": [}', r"captions\.json:1:13: malformed JSON"),
        ("", r"malformed JSON"),
        ([], "expected COCO's format"),
        ({"images": []}, "expected COCO's format"),
        ({"images": {}, "annotations": []}, "expected COCO's format"),
        ({"images": [], "annotations": []}, "'images' is empty"),
        ({"images": [image(1)], "annotations": []}, "none of its 0 annotations is a caption"),
        ({"images": [image(1)], "annotations": [{"image_id": 1, "bbox": [0, 0, 1, 1]}]}, "none of its 1 annotations"),
        ({"images": [image(1), image(1)], "annotations": captions(1, "x")}, "the id 1 of an earlier picture"),
    ],
)
def test_an_unusable_file_stops_at_once(write, pictures, content, says):
    with pytest.raises(DataError, match=says):
        CocoCaptionsSource(write("captions.json", content), pictures, prompts=("P",))


def test_missing_files_and_folders_stop_at_once(tmp_path, write, pictures):
    with pytest.raises(DataError, match=r"nowhere\.json: cannot be read"):
        CocoCaptionsSource(tmp_path / "nowhere.json", pictures, prompts=("P",))
    path = write("captions.json", {"images": [image(1)], "annotations": captions(1, "x")})
    with pytest.raises(DataError, match=r"images folder .* does not exist"):
        CocoCaptionsSource(path, tmp_path / "nowhere", prompts=("P",))


def test_ids_may_be_text(source):
    entries = [{"id": "a", "file_name": "good.jpg"}], [{"image_id": "a", "caption": "x"}]
    assert [c.id for c in source(*entries)] == ["a/0"]


def test_a_source_travels_to_other_processes(source):
    records = source([image(1)], captions(1, "a", "b"))
    copy = pickle.loads(pickle.dumps(records))
    assert [(c.id, said(c)) for c in copy] == [(c.id, said(c)) for c in records]


@pytest.mark.parametrize(
    ("annotations", "images", "count", "references"),
    [
        ("photos/captions_val.json", "photos/images", 100, 5),
        ("photos/captions_train.json", "photos/images", 700, 5),
        ("coco-mini/annotations/captions_val2017.json", "coco-mini/val2017", 79, 5),
        ("coco-mini/annotations/captions_train2017.json", "coco-mini/train2017", 80, 5),
    ],
)
def test_real_captions_are_read_whole(annotations, images, count, references):
    path = SHARED / annotations
    if not path.exists():
        pytest.skip("needs the photographs of ../shared/data")
    first = CocoCaptionsSource(path, SHARED / images, prompts=("P",), captions="first")
    each = CocoCaptionsSource(path, SHARED / images, prompts=("P",))
    assert (len(first), len(each)) == (count, count * references)
    expected: dict[object, list[str]] = {}
    for annotation in json.loads(path.read_text())["annotations"]:
        expected.setdefault(annotation["image_id"], []).append(annotation["caption"].strip())
    assert {c.annotations["image_id"]: list(c.annotations["references"]) for c in first} == expected
    assert sorted(said(c)[0] for c in each) == sorted(text for texts in expected.values() for text in texts)
    sizes = {entry["id"]: (entry["width"], entry["height"]) for entry in json.loads(path.read_text())["images"]}
    for conversation in [first[i] for i in range(0, count, 20)]:
        (medium,) = conversation.media
        assert medium.open().size == sizes[conversation.annotations["image_id"]]
