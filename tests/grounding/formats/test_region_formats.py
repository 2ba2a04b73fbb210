"""Regions as text: written as each format says, read back whatever is made of it."""

from __future__ import annotations

import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mutated_answers import CUP, DOG, PICTURE, survive
from mutated_answers import FORMATS as EVERY_FORMAT
from mutated_answers import TEXT_FORMATS as FORMATS
from triptych.conversation import NORMALISED, Region
from triptych.grounding.config import TextRegionsConfig
from triptych.grounding.formats.build import TextRegions, build_format
from triptych.grounding.formats.format import Format
from triptych.grounding.formats.kosmos2 import box_of, cells_of
from triptych.language.regions import Token

shares = st.floats(0, 1)


def named(name: str) -> Format:
    return build_format(TextRegionsConfig(format=name))  # type: ignore[arg-type]


def written(form: Format, *parts: str | Region, answer: bool = True) -> str:
    return "".join(str(part) for part in TextRegions(form).write(parts, answer))


@pytest.mark.parametrize(
    ("name", "text"),
    [
        (
            "kosmos2",
            "There is <phrase>a dog</phrase><object><patch_index_0099><patch_index_0623></object> and "
            "<phrase>cups</phrase><object><patch_index_0115><patch_index_0990>"
            "</delimiter_of_multi_objects/><patch_index_0099><patch_index_0623></object>.",
        ),
        (
            "shikra",
            "There is a dog[0.100,0.100,0.500,0.600] and cups[0.600,0.100,0.950,0.950;0.100,0.100,0.500,0.600].",
        ),
        (
            "qwen",
            "There is <ref>a dog</ref><box>(100,100),(500,600)</box> and "
            "<ref>cups</ref><box>(600,100),(950,950)</box><box>(100,100),(500,600)</box>.",
        ),
        (
            "json",
            'There is [{"bbox": [100, 100, 500, 600], "label": "a dog"}] and '
            '[{"bbox": [600, 100, 950, 950], "label": "cups"}, {"bbox": [100, 100, 500, 600], "label": "cups"}].',
        ),
    ],
)
def test_each_format_writes_as_published(name: str, text: str) -> None:
    form = named(name)
    assert written(form, "There is", " a dog", DOG, " and", " cups", CUP, DOG, ".") == text
    parsed = form.parse(text)
    assert parsed.verdict == "valid"
    phrases = [region.name for region in parsed.regions]
    assert phrases == (["There is a dog", "cups", "cups"] if name == "shikra" else ["a dog", "cups", "cups"])
    step = 1 / 32 if name == "kosmos2" else 1 / 1000
    for found, meant in zip(parsed.regions, (DOG, CUP, DOG), strict=True):
        assert max(abs(a - b) for a, b in zip(found.box, meant.normalised, strict=True)) <= step


@pytest.mark.parametrize("name", FORMATS)
@given(st.lists(st.tuples(shares, shares, shares, shares), min_size=1, max_size=4))
@settings(max_examples=50, deadline=None)
def test_any_boxes_are_read_back(name: str, boxes: list[tuple[float, float, float, float]]) -> None:
    form = named(name)
    regions = [Region.from_corners(box, NORMALISED) for box in boxes]
    parsed = form.parse("".join(form.write("it", regions)))
    assert parsed.verdict == "valid"
    step = 1 / 32 if name == "kosmos2" else 1 / 1000
    for found, meant in zip(parsed.regions, regions, strict=True):
        assert max(abs(a - b) for a, b in zip(found.box, meant.box, strict=True)) <= step + 1e-9


def test_kosmos_cells_are_those_of_the_reference_processor() -> None:
    reference = pytest.importorskip("transformers.models.kosmos2.processing_kosmos2")
    draw = random.Random(0)
    for _ in range(5000):
        bins = draw.randint(2, 64)
        (left, right), (top, bottom) = sorted((draw.random(), draw.random())), sorted((draw.random(), draw.random()))
        cells = cells_of((left, top, right, bottom), bins)
        assert cells == reference.coordinate_to_patch_index((left, top, right, bottom), bins)
        assert box_of(*cells, bins) == reference.patch_index_to_coordinate(*cells, bins)
    # What the reference refuses or writes beyond its tokens has an answer, too.
    assert cells_of((1.0, 1.0, 1.0, 1.0), 32) == (1023, 1023)
    assert cells_of((-3.0, 0.5, 0.0, 0.5), 32) == (16 * 32, 16 * 32)


def test_location_tokens_are_off_by_half_a_cell_at_most() -> None:
    draw = random.Random(1)
    for _ in range(2000):
        left, top = draw.random() * 0.9, draw.random() * 0.9
        box = (left, top, left + 0.1, top + 0.1)
        found = box_of(*cells_of(box, 32), 32)
        assert max(abs(a - b) for a, b in zip(found, box, strict=True)) <= 1 / 64 + 1e-9


@pytest.mark.parametrize(
    ("name", "text", "verdict", "count"),
    [
        ("kosmos2", "none", "none", 0),
        ("kosmos2", "<patch_index_0044><patch_index_0863>", "repaired", 1),
        ("kosmos2", "<phrase>dog</phrase><object><patch_index_0863><patch_index_0044></object>", "repaired", 1),
        ("kosmos2", "<object><patch_index_0044><patch_index_0863>", "repaired", 1),
        ("kosmos2", "<phrase>dog</phrase><object><patch_index_0044></object>", "invalid", 0),
        ("kosmos2", "<object><patch_index_4444><patch_index_9999></object>", "invalid", 0),
        ("kosmos2", "<phrase>dog</phrase>", "invalid", 0),
        ("shikra", "no such thing", "none", 0),
        ("shikra", "dog[0.1, 0.2, 0.3, 0.4]", "repaired", 1),
        ("shikra", "dog[0.300,0.400,0.100,0.200]", "repaired", 1),
        ("shikra", "dog[0.100,0.200,0.300", "repaired", 1),
        ("shikra", "dog[", "invalid", 0),
        ("qwen", "<box>(10,20),(30,1020)</box>", "repaired", 1),
        ("qwen", "<box>(10,20),(30,1200)</box>", "invalid", 0),
        ("qwen", "<box>(10,20),(30,40)</box><box>(10,20),(300,1200)</box>", "repaired", 1),
        ("shikra", "dog[0.100,0.200,0.300,1.020]", "repaired", 1),
        ("shikra", "dog[100,200,300,400]", "invalid", 0),
        ("shikra", "dog[0.100,0.200,0.300,1.200]", "invalid", 0),
        ("shikra", "dog[-0.300,0.200,0.300,0.400]", "invalid", 0),
        ("qwen", "(10,20),(30,40)", "repaired", 1),
        ("qwen", "<ref>dog</ref><box></box>", "invalid", 0),
        ("qwen", "none", "none", 0),
        ("json", '{"bbox_2d": [10, 20, 30, 40], "label": "dog"}', "repaired", 1),
        ("json", '[{"bbox": [10, 20, 30, 40], "label": "d', "repaired", 1),
        ("json", '[{"bbox": "left", "label": "dog"}]', "invalid", 0),
        ("json", "none", "none", 0),
        ("json", f'[{{"bbox": [10, 20, 30, {"9" * 400}], "label": "dog"}}]', "invalid", 0),
        ("json", f'[{{"bbox": [10, 20, 30, -{"9" * 5000}], "label": "dog"}}]', "invalid", 0),
        ("json", '[{"bbox_2d": [10, 20, 1300, 1040], "label": "dog"}]', "invalid", 0),
        ("json", '[{"bbox": [10, 20, 1300, 1040], "label": "d', "invalid", 0),
    ],
)
def test_answers_that_break_the_rules_get_a_verdict(name: str, text: str, verdict: str, count: int) -> None:
    parsed = named(name).parse(text)
    assert (parsed.verdict, len(parsed.regions)) == (verdict, count)


def test_coordinates_in_another_unit_say_so() -> None:
    for name, text in (
        ("shikra", "dog[250,250,750,750]"),
        ("qwen", "<box>(10,20),(30,1200)</box>"),
        ("json", '[{"bbox_2d": [10, 20, 1300, 1040]}]'),
        ("json", "[10, 20, 1300, 1040]"),
    ):
        parsed = named(name).parse(text)
        assert parsed.verdict == "invalid" and "unit" in parsed.reason
    assert named("shikra").parse("dog[0.100,0.200,0.300,0.400]").reason == ""


def test_points_are_written_as_points() -> None:
    point = Region.from_points([(50, 50)], PICTURE)
    assert written(named("shikra"), "here", point) == "here[0.250,0.500]"
    assert written(named("qwen"), point) == "<box>(250,500)</box>"
    assert written(named("json"), point) == '[{"point": [250, 500]}]'
    for name in ("shikra", "qwen", "json"):
        (found,) = named(name).parse(written(named(name), point)).regions
        assert found.points and found.is_degenerate


def test_a_question_has_no_phrases() -> None:
    text = written(named("kosmos2"), "What is in ", DOG, "?", answer=False)
    assert text == "What is in <object><patch_index_0099><patch_index_0623></object>?"


def test_only_tokens_are_tokens() -> None:
    pieces = named("kosmos2").write("<object>", [DOG])
    assert [type(piece) is Token for piece in pieces[:3]] == [True, False, True]


@pytest.mark.parametrize("name", EVERY_FORMAT)
def test_no_answer_breaks_a_parser(name: str) -> None:
    assert set(survive(name, 600).verdicts) == {"valid", "repaired", "invalid", "none"}


@pytest.mark.slow
@pytest.mark.parametrize("name", EVERY_FORMAT)
def test_no_answer_of_a_hundred_thousand_breaks_a_parser(name: str) -> None:
    assert survive(name, 20_000).verdicts.total() == 20_000


def test_halves_of_characters_in_a_label_are_replaced() -> None:
    """JSON can escape what no text file can hold."""
    for text in (r'[{"bbox": [10, 20, 30, 40], "label": "a\ud83d"}]', '{"bbox": [1, 2, 3, 4], "label": "a\ud83d", x'):
        (region,) = named("json").parse(text).regions
        assert region.name == "a?" == region.name.encode().decode()


@pytest.mark.parametrize(
    ("text", "box"),
    [
        ('[{"bbox": [0.1, 0.2, 0.3, 0.4]}]', (0.1, 0.2, 0.3, 0.4)),
        ('{"bbox_2d": [0.0, 0, 1.0, 0.5], "label": "dog"}', (0, 0, 1, 0.5)),
        ('[{"bbox": [0.1, 0.2, 0.3, 0.4], "label": "d', (0.1, 0.2, 0.3, 0.4)),
        ('[{"bbox": [0, 0, 1, 1]}]', (0.0005, 0.0005, 0.0015, 0.0015)),
        ('[{"bbox": [0.5, 0.5, 500.0, 500.0]}]', (0.001, 0.001, 0.5005, 0.5005)),
    ],
)
def test_numbers_with_a_point_up_to_one_are_shares(text: str, box: tuple[float, ...]) -> None:
    (region,) = named("json").parse(text).regions
    assert region.box == pytest.approx(box)
    assert named("json").parse(text).verdict == ("valid" if "[0, 0, 1, 1]" in text else "repaired")
