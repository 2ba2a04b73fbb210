"""Boxes that their pictures cannot have are refused in every reader, by one rule."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image as Pillow

from triptych.conversation import NORMALISED, THOUSANDTHS, Frame, Image, Region
from triptych.data.boxes.check import TOLERANCE, annotated_frame, check_region
from triptych.data.boxes.config import CocoInstancesConfig, Flickr30kConfig, RefcocoConfig, VisualGenomeConfig
from triptych.data.boxes.conversations import box_of
from triptych.data.config import LlavaConfig
from triptych.data.sources import Source, build
from triptych.errors import DataError

FRAME = Frame(200, 100)
Make = Callable[[list[float]], Source]


@pytest.fixture
def images(tmp_path: Path) -> Path:
    folder = tmp_path / "images"
    folder.mkdir()
    Pillow.new("RGB", (200, 100), "gray").save(folder / "1.jpg")
    return folder


def coco(folder: Path, images: Path, xyxy: list[float]) -> Source:
    left, top, right, bottom = xyxy
    content = {
        "images": [{"id": 1, "file_name": "1.jpg"}],
        "categories": [{"id": 7, "name": "dog"}],
        "annotations": [{"id": 1, "image_id": 1, "category_id": 7, "bbox": [left, top, right - left, bottom - top]}],
    }
    path = folder / "instances.json"
    path.write_text(json.dumps(content))
    return build(CocoInstancesConfig(annotations=path, images=images))


def refcoco(folder: Path, images: Path, xyxy: list[float]) -> Source:
    path = folder / "refs.jsonl"
    path.write_text(json.dumps({"file_name": "1.jpg", "bbox": xyxy, "phrase": "dog"}))
    return build(RefcocoConfig(path=path, images=images, boxes="xyxy"))


def visual_genome(folder: Path, images: Path, xyxy: list[float]) -> Source:
    left, top, right, bottom = xyxy
    region = {"region_id": 1, "phrase": "dog", "x": left, "y": top, "width": right - left, "height": bottom - top}
    path = folder / "regions.json"
    path.write_text(json.dumps([{"id": 1, "regions": [region]}]))
    return build(VisualGenomeConfig(path=path, images=images))


def flickr30k(folder: Path, images: Path, xyxy: list[float]) -> Source:
    for name in ("Sentences", "Annotations"):
        (folder / name).mkdir(exist_ok=True)
    (folder / "Sentences" / "1.txt").write_text("[/EN#1/animals A dog] runs .\n")
    left, top, right, bottom = xyxy
    box = f"<xmin>{left + 1}</xmin><ymin>{top + 1}</ymin><xmax>{right}</xmax><ymax>{bottom}</ymax>"
    (folder / "Annotations" / "1.xml").write_text(
        f"<annotation><object><name>1</name><bndbox>{box}</bndbox></object></annotation>"
    )
    return build(Flickr30kConfig(path=folder, images=images))


def llava(folder: Path, images: Path, xyxy: list[float], form: str = "picture") -> Source:
    left, top, right, bottom = xyxy
    shares = [left / 200, top / 100, right / 200, bottom / 100]
    if form == "square":  # the picture is padded to 200 × 200, 50 pixels above and below
        shares = [left / 200, (top + 50) / 200, right / 200, (bottom + 50) / 200]
    record = {"image": "1.jpg", "conversations": [{"from": "human", "value": "<image>\nWhere?"},
                                                  {"from": "gpt", "value": f"At {shares}."}]}  # fmt: skip
    path = folder / "talk.jsonl"
    path.write_text(json.dumps(record))
    return build(LlavaConfig(path=path, images=images, boxes=form))  # type: ignore[arg-type]


READERS = {
    "coco": coco,
    "refcoco": refcoco,
    "visual_genome": visual_genome,
    "flickr30k": flickr30k,
    "llava": llava,
    "llava, square": lambda *args: llava(*args, form="square"),
}
PIXELS = ["coco", "refcoco", "visual_genome", "flickr30k"]


@pytest.fixture(params=READERS)
def make(request: pytest.FixtureRequest, tmp_path: Path, images: Path) -> Make:
    return lambda xyxy: READERS[request.param](tmp_path, images, xyxy)


def regions(source: Source) -> list[Region]:
    return [region for message in source[0].messages for region in message.regions]


@pytest.mark.parametrize(
    ("xyxy", "expected"),
    [
        ([10.0, 20.0, 50.0, 60.0], (10, 20, 50, 60)),
        ([0.0, 0.0, 200.0, 100.0], (0, 0, 200, 100)),
        ([-1.0, -1.0, 202.0, 101.0], (0, 0, 200, 100)),
        ([10.0, 20.0, 12.0, 22.0], (10, 20, 12, 22)),
    ],
)
def test_right_boxes_are_read_and_small_errors_clipped(make: Make, xyxy: list[float], expected: Any) -> None:
    (region,) = regions(make(xyxy))
    assert region.box == pytest.approx(expected, abs=1e-6) and region.frame == FRAME


@pytest.mark.parametrize(
    "xyxy",
    [
        [10.0, 20.0, 260.0, 60.0],  # over the right edge
        [10.0, 20.0, 50.0, 130.0],
        [-30.0, 20.0, 50.0, 60.0],
        [300.0, 20.0, 340.0, 60.0],  # all outside
        [10.0, 20.0, 10.4, 60.0],  # thinner than a pixel
        [10.0, 20.0, 50.0, 20.0],
        [50.0, 20.0, 10.0, 60.0],  # corners in the wrong order
        [100.0, 200.0, 500.0, 600.0],  # thousandths
    ],
)
def test_boxes_that_the_picture_cannot_have_are_refused(make: Make, xyxy: list[float]) -> None:
    with pytest.raises(DataError, match=r"box"):
        make(xyxy)[0]


@pytest.mark.parametrize("reader", PIXELS)
@pytest.mark.parametrize("xyxy", [[0.1, 0.2, 0.5, 0.6], [0.0, 0.0, 1.0, 1.0]])
def test_shares_are_no_pixels(reader: str, xyxy: list[float], tmp_path: Path, images: Path) -> None:
    if reader == "flickr30k":  # counts pixels from 1: its smallest box is larger than any share
        xyxy = [value - 1 for value in xyxy[:2]] + xyxy[2:]
    with pytest.raises(DataError, match="box"):
        READERS[reader](tmp_path, images, xyxy)[0]


@pytest.mark.parametrize(
    "said", ["[120, 300, 580, 910]", "[50, 20, 90, 60]", "[1.2, 0.1, 1.9, 0.4]", "[-0.5, 0.1, 0.2, 0.4]"]
)
def test_boxes_in_a_unit_that_was_not_declared_are_no_letters(said: str, tmp_path: Path, images: Path) -> None:
    def one(text: str, boxes: str) -> Source:
        record = {"image": "1.jpg", "conversations": [{"from": "human", "value": "<image>\nWhere?"},
                                                      {"from": "gpt", "value": text}]}  # fmt: skip
        (tmp_path / "talk.jsonl").write_text(json.dumps(record))
        return build(LlavaConfig(path=tmp_path / "talk.jsonl", images=images, boxes=boxes))  # type: ignore[arg-type]

    for boxes in ("picture", "square"):
        with pytest.raises(DataError, match=r"talk\.jsonl:1.*numbers outside of 0–1, so they are no shares"):
            one(f"At {said}.", boxes)[0]
    assert one(f"At {said}.", "text")[0].messages[1].text == f"At {said}."
    for numbers in ("[1, 2, 3, 4]", "[2019, 2020, 2021, 2022]", "[5, 5, 5, 5]"):  # lists of numbers
        assert one(f"They are {numbers}.", "picture")[0].messages[1].text == f"They are {numbers}."


def turned(orientation: int, size: tuple[int, int], folder: Path) -> Image:
    exif = Pillow.Exif()
    exif[0x0112] = orientation
    path = folder / f"turned {orientation} {size}.jpg"
    Pillow.new("RGB", size, "gray").save(path, exif=exif)
    return Image(path)


def test_boxes_of_turned_pictures_are_believed_only_where_a_size_tells_which_way(tmp_path: Path) -> None:
    for orientation in range(1, 9):
        image = turned(orientation, (200, 100), tmp_path)
        lies = orientation >= 5
        upright = (100.0, 200.0) if lies else (200.0, 100.0)
        assert image.turned == (orientation != 1) and image.lies == lies
        if orientation == 1:
            assert annotated_frame(image, None) == annotated_frame(image, upright) == Frame(*upright)
            continue
        with pytest.raises(DataError, match="do not tell whether boxes are about the stored or the upright"):
            annotated_frame(image, None)
        if lies:
            assert annotated_frame(image, upright) == Frame(*upright)
            with pytest.raises(DataError, match="when it is upright"):
                annotated_frame(image, (200.0, 100.0))
        else:  # mirrored, or upside down: the size is the same either way
            with pytest.raises(DataError, match="do not tell"):
                annotated_frame(image, upright)
    with pytest.raises(DataError, match="do not tell"):  # a square tells nothing, either
        annotated_frame(turned(6, (100, 100), tmp_path), (100.0, 100.0))


@pytest.mark.parametrize("reader", READERS)
def test_every_reader_keeps_the_rule_of_turned_pictures(reader: str, tmp_path: Path, images: Path) -> None:
    exif = Pillow.Exif()
    exif[0x0112] = 6
    Pillow.new("RGB", (100, 200), "gray").save(images / "1.jpg", exif=exif)  # upright: 200 × 100
    with pytest.raises(DataError, match="EXIF orientation turns or mirrors it"):
        READERS[reader](tmp_path, images, [10.0, 20.0, 50.0, 60.0])[0]


numbers = st.floats(-50, 250, allow_nan=False).map(lambda value: round(value, 2))


@given(numbers, numbers, numbers, numbers, st.sampled_from(["pixels", "shares", "thousandths"]))
def test_what_passes_is_a_box_of_the_picture_and_moved_little(
    a: float, b: float, c: float, d: float, unit: str
) -> None:
    frame = {"pixels": FRAME, "shares": NORMALISED, "thousandths": THOUSANDTHS}[unit]
    region = Region.from_corners((a, b, c, d), FRAME).to(frame)
    try:
        inside = check_region(region, FRAME).to(FRAME)
    except DataError:
        left, top, right, bottom = region.to(FRAME).box
        over = max(-left / 4, -top / 2, (right - 200) / 4, (bottom - 100) / 2)
        clipped = region.to(FRAME).clip()
        thin = min(clipped.xywh[2:]) < 1 + 1e-9
        assert over > 1 - 1e-9 or thin
        return
    left, top, right, bottom = inside.box
    assert 0 <= left < right <= 200 + 1e-9 and 0 <= top < bottom <= 100 + 1e-9
    assert min(right - left, bottom - top) >= 1 - 1e-9
    moved = [abs(one - other) for one, other in zip(inside.box, region.to(FRAME).box, strict=True)]
    assert max(moved) <= 200 * TOLERANCE + 1e-9


@given(
    st.lists(st.one_of(st.floats(), st.integers(), st.text(max_size=3), st.none(), st.booleans()), max_size=5)
    | st.text()
    | st.none()
)
def test_whatever_stands_for_a_box_is_read_or_refused(values: Any) -> None:
    for form in ("xywh", "xyxy"):
        try:
            region = box_of(values, FRAME, form)  # type: ignore[arg-type]
        except DataError as error:
            assert len(str(error)) < 600
            continue
        assert not region.is_degenerate and region.clip() == region
