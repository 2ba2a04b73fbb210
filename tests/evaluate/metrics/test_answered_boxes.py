"""Boxes of answers: read in every form, and none in a unit that cannot be the declared one."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from triptych.evaluate.metrics.boxes import (
    NO_BOX,
    NOT_SHARES,
    NOT_THOUSANDTHS,
    OUTSIDE,
    SHARES,
    SWAPPED,
    Box,
    in_unit,
    parse_box,
    read_box,
)
from triptych.evaluate.parsers.unread import CONTRADICTS, THINKS_TO_THE_END, Unread

SIZE = (400.0, 200.0)


@pytest.mark.parametrize(
    "text",
    [
        "[0.25,0.25,0.75,0.5]",
        "(0.25, 0.25, 0.75, 0.5)",
        "0.25, 0.25, 0.75, 0.5",
        "The dog is at [0.25, 0.25, 0.75, 0.5].",
        "[0.25,0.25,0.75,0.5] (the dog at [0.25, 0.25, 0.75, 0.5])",
        "(0.25,0.25),(0.75,0.5)",
        "<ref>the dog</ref><box>(0.25,0.25),(0.75,0.5)</box>",
        "<|box_start|>(0.25, 0.25), (0.75, 0.5)<|box_end|>",
        '```json\n[{"bbox_2d": [0.25, 0.25, 0.75, 0.5], "label": "dog"}]\n```',
        "<think>[0,0,1,1]?</think>[0.25,0.25,0.75,0.5]",
    ],
)
def test_a_box_in_any_form(text: str) -> None:
    assert read_box(text) == (0.25, 0.25, 0.75, 0.5)


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("", NO_BOX),
        ("on the left", NO_BOX),
        ("[0.1, 0.2, 0.3]", NO_BOX),
        ("at 0.1, 0.2, 0.3, 0.4 or so", NO_BOX),
        ("[0,0,1,1] or [0,0,0.5,1]", CONTRADICTS),
        ("[0.5,0,0.25,1]", SWAPPED),
        ("<think>[0,0,1,1]", THINKS_TO_THE_END),
    ],
)
def test_why_there_is_none(text: str, why: Unread) -> None:
    assert read_box(text) == why and parse_box(text) is None


@pytest.mark.parametrize(
    ("box", "unit", "why"),
    [
        ((250, 250, 750, 750), "fraction", NOT_SHARES),
        ((100, 50, 300, 150), "fraction", NOT_SHARES),
        ((0.25, 0.25, 0.75, 1.2), "fraction", NOT_SHARES),
        ((0.0, 0.0, 2.0, 1.0), "fraction", NOT_SHARES),
        ((-0.2, 0.0, 0.5, 0.5), "fraction", OUTSIDE),
        ((100, 50, 1300, 150), "thousandth", NOT_THOUSANDTHS),
        ((0.25, 0.25, 0.75, 0.75), "thousandth", SHARES),
        ((0.25, 0.25, 0.75, 0.75), "pixel", SHARES),
        ((100, 50, 500, 150), "pixel", OUTSIDE),
        ((-20, 50, 300, 150), "pixel", OUTSIDE),
    ],
)
def test_what_cannot_be_the_declared_unit(box: Box, unit: str, why: Unread) -> None:
    assert in_unit(box, unit, *SIZE) == why  # type: ignore[arg-type]


@given(
    st.tuples(*[st.floats(0, 1)] * 4),
    st.sampled_from([("fraction", 1.0, 1.0), ("thousandth", 1000, 1000), ("pixel", *SIZE)]),
)
def test_what_can_be_is_kept(shares: Box, unit: tuple[str, float, float]) -> None:
    name, width, height = unit
    box = shares[0] * width, shares[1] * height, shares[2] * width, shares[3] * height
    if name == "fraction" or max(box) > 1:
        assert in_unit(box, name, *SIZE) == box  # type: ignore[arg-type]


@given(st.text())
def test_no_text_makes_it_raise(text: str) -> None:
    read_box(text)
