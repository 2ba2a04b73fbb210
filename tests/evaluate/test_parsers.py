from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from triptych.evaluate.parsers import (
    form_of,
    name_parser,
    parse_count,
    parse_free,
    parse_place,
    parse_relation,
    parse_yes_no,
    parser_of,
)
from triptych.scenes.things import all_things

NAMES = ["cat", "dog", "hot dog", "bear", "no entry", "glasses", "t-shirt", "people", "mouse", "box", "knife", "cherry"]
FORMS = ["yes_no", "count", "place", "relation", "name", "free"]
PLACES = [
    "top left", "top", "top right", "left", "center", "right", "bottom left", "bottom", "bottom right",
]  # fmt: skip


@pytest.mark.parametrize(
    ("text", "parsed"),
    [
        ("yes", "yes"),
        ("Yes.", "yes"),
        ("YES!!", "yes"),
        ("yeah", "yes"),
        ("Yes, there is a cat.", "yes"),
        ("The answer is yes.", "yes"),
        ("No, there is no dog.", "no"),
        ("no, it isn't", "no"),
        ("Nope", "no"),
        ("Answer: no", "no"),
        ("No, I don't see one.", "no"),
        ("", None),
        ("yes and no", None),
        ("Yes. Is there a dog? No.", None),
        ("no, yes", None),
        ("yes or no", None),
        ("Yes, maybe", None),
        ("maybe", None),
        ("not sure", None),
        ("No idea.", None),
        ("No way to tell", None),
        ("No doubt", None),
        ("No, I can't say", None),
        ("I cannot see a picture.", None),
        ("There is a cat.", None),
        ("There is no cat, yes", None),
        ("yesterday", None),
        ("Nobody", None),
        ("Is there a dog?", None),
        ("<think>Is it? No.</think>Yes", "yes"),
        ("Hmm, no dog.</think>\n\nNo", "no"),
        ("\\boxed{No}", "no"),
        ("<answer>yes</answer>", "yes"),
        ('{"answer": "no"}', "no"),
        ("**Yes**", "yes"),
        ("Looking at it, the answer is yes.", "yes"),
        ("Yes, there is a dog, not a cat. So the answer is yes.", "yes"),
        ("The picture shows a dog.\n\nYes", "yes"),
        ("Therefore, no.", "no"),
        ("是的，图中有一只狗。", "yes"),
        ("答案：否", "no"),
        ("はい", "yes"),
        ("아니요", "no"),
        ("Sí, hay un perro.", "yes"),
        ("Nein, es gibt keinen Hund.", "no"),
        ("Oui", "yes"),
        ("Нет, собаки нет.", "no"),
        ("नहीं", "no"),
        ("<think>Yes", None),
        ("No, wait, yes", None),
        ("Yes. The answer is no.", None),
        ("yes\nno", None),
        ("\\boxed{yes} \\boxed{no}", None),
        ("ja nein", None),
        ("是不是", None),
        ("Is the answer yes?", None),
        ("I'm not sure the answer is yes", None),
        ("The answer is yes. Wait, no.", None),
        ("No answer", None),
    ],
)
def test_yes_and_no(text: str, parsed: str | None) -> None:
    assert parse_yes_no(text) == parsed


@pytest.mark.parametrize(
    ("text", "parsed"),
    [
        ("3", "3"),
        ("three", "3"),
        ("Three.", "3"),
        ("There are 3 cats.", "3"),
        ("twelve of them", "12"),
        ("0003", "3"),
        ("0", "0"),
        ("none", "0"),
        ("I see one.", "1"),
        ("3, three", "3"),
        ("", None),
        ("many", None),
        ("two or three", None),
        ("2 cats and 1 dog", None),
        ("at least 2", None),
        ("about five", None),
        ("2 to 3", None),
        ("2-3", None),
        ("3.5", None),
        ("-1", None),
        ("3+", None),
        ("twenty-one", None),
        ("a hundred", None),
        ("one hundred", None),
        ("not 3", None),
        ("the one on the left", None),
        ("one of them", None),
        ("2nd", None),
        ("½", None),
        ("5²", None),
        ("٣", None),
        ("9" * 5000, None),  # int() itself refuses more than 4,300 digits
        ("How many cats are there?", None),
        ("<think>3? 4?</think>5", "5"),
        ("There are 2 brown and 3 white dogs. So the answer is 5.", "5"),
        ("\\boxed{5}", "5"),
        ("<answer>five</answer>", "5"),
        ("<think>3? 4? 5", None),
        ("2 cats. Answer: 5. Answer: 6", None),
        ("There are 2 or 3. The answer is at least 5", None),
    ],
)
def test_counts(text: str, parsed: str | None) -> None:
    assert parse_count(text) == parsed


@pytest.mark.parametrize(
    ("text", "parsed"),
    [
        ("top left", "top left"),
        ("Upper-left corner.", "top left"),
        ("in the top-left corner of the picture", "top left"),
        ("left top", "top left"),
        ("at the top, on the left", "top left"),
        ("upper right-hand corner", "top right"),
        ("The cat is at the bottom right.", "bottom right"),
        ("lower left", "bottom left"),
        ("bottom center", "bottom"),
        ("middle left", "left"),
        ("on the right side", "right"),
        ("in the middle", "center"),
        ("centre", "center"),
        ("right in the middle", "center"),
        ("on top", "top"),
        ("top left, top left", "top left"),
        ("", None),
        ("left or right", None),
        ("top left and bottom right", None),
        ("top left, right of the cat", None),
        ("not at the top", None),
        ("next to the cat", None),
        ("all right", None),
        ("Where is the cat?", None),
    ],
)
def test_places(text: str, parsed: str | None) -> None:
    assert parse_place(text) == parsed


@pytest.mark.parametrize(
    ("text", "parsed"),
    [
        ("left", "left"),
        ("to the left of the dog", "left"),
        ("It is above the dog.", "above"),
        ("on top of the cat", "above"),
        ("underneath", "below"),
        ("right below", "below"),
        ("right", "right"),
        ("left and above", None),
        ("top left", None),
        ("neither left nor right", None),
        ("beside it", None),
    ],
)
def test_relations(text: str, parsed: str | None) -> None:
    assert parse_relation(text) == parsed


@pytest.mark.parametrize(
    ("text", "parsed"),
    [
        ("cat", "cat"),
        ("A Cat.", "cat"),
        ("the cat", "cat"),
        ("cats", "cat"),
        ("two cats", "cat"),
        ("mice", "mouse"),
        ("boxes", "box"),
        ("knives", "knife"),
        ("cherries", "cherry"),
        ("There is a bear at the top.", "bear"),
        ("It's a dog.", "dog"),
        ("hot dogs", "hot dog"),
        ("a T-shirt", "t-shirt"),
        ("tshirt", None),
        ("no entry", "no entry"),
        ("a pair of glasses", "glasses"),
        ("person", "people"),
        ("cat, cat", "cat"),
        ("", None),
        ("zebra", None),
        ("cat or dog", None),
        ("a bear and a dog", None),
        ("a zebra and a dog", None),
        ("not a cat", None),
        ("teddy bear", None),
        ("dog house", None),
        ("catfish", None),
        (" ".join(NAMES), None),
        ("What is at the top left?", None),
    ],
)
def test_names(text: str, parsed: str | None) -> None:
    assert name_parser(NAMES)(text) == parsed


def test_a_form_that_two_names_share_belongs_to_neither() -> None:
    parse = name_parser(["axe", "axis", "glass", "glasses"])
    assert parse("axes") == "axe"  # "axis" has no regular plural
    assert parse("glasses") == "glasses"  # a name as it is written beats the plural of another
    assert parse("glass") == "glass"
    assert name_parser(["leaf", "leave"])("leaves") is None


def test_every_thing_of_the_scenes_is_read_in_its_own_words() -> None:
    things = all_things()
    parse = name_parser([thing.name for thing in things])
    for thing in things:
        for text in (thing.name, thing.a, f"{thing.a.capitalize()}.", f"There is {thing.a} at the top left."):
            assert parse(text) == thing.name, text


def test_things_are_read_in_plural() -> None:
    things = all_things()
    parse = name_parser([thing.name for thing in things])
    missed = [thing.plural for thing in things if parse(thing.plural) != thing.name]
    assert len(missed) <= 0.02 * len(things), missed


@given(st.text())
def test_no_text_makes_a_parser_raise(text: str) -> None:
    for form in FORMS:
        parsed = parser_of(form, NAMES)(text)  # type: ignore[arg-type]
        assert parsed is None or (isinstance(parsed, str) and parsed)


FRAGMENTS = [
    "yes", "no", "not", "or", "and", "a", "the", "top", "left", "right", "bottom", "middle", "cat", "dog", "hot", "2",
    "three", "one", "of", ",", ".", "-", "n't", "is", "above", "\n", "'",
]  # fmt: skip


@given(st.lists(st.sampled_from(FRAGMENTS), max_size=12).map(" ".join))
def test_parsed_answers_are_canonical(text: str) -> None:
    assert parse_yes_no(text) in (None, "yes", "no")
    assert parse_count(text) in (None, "1", "2", "3")
    assert parse_place(text) in (None, *PLACES)
    assert parse_relation(text) in (None, "left", "right", "above", "below")
    assert name_parser(NAMES)(text) in (None, *NAMES)
    for form in FORMS:
        parse = parser_of(form, NAMES)  # type: ignore[arg-type]
        if (parsed := parse(text)) is not None:
            assert parse(parsed) == parsed


@given(
    st.sampled_from(["yes_no", "count", "place", "relation", "name"]),
    st.sampled_from(["yes", "no", "2", "3", "top left", "bottom right", "left", "above", "below", "cat", "dog"]),
    st.sampled_from(["yes", "no", "2", "3", "top left", "bottom right", "left", "above", "below", "cat", "dog"]),
)
def test_two_different_answers_are_none(form: str, first: str, second: str) -> None:
    parse = parser_of(form, NAMES)  # type: ignore[arg-type]
    a, b = parse(first), parse(second)
    if a is not None and b is not None and a != b:
        for text in (f"{first} or {second}", f"{first}. {second}.", f"It is {first} and it is {second}"):
            assert parse(text) is None, text


@given(st.text(), st.sampled_from([" ", "\n", "\t ", ""]))
def test_case_and_white_space_around_do_not_matter(text: str, space: str) -> None:
    for form in ("yes_no", "count", "place", "relation", "name"):
        parse = parser_of(form, NAMES)  # type: ignore[arg-type]
        assert parse(space + text + space) == parse(text)


def test_free_text_is_tidied() -> None:
    assert parse_free("  A dog\n runs. ") == "A dog runs."
    assert parse_free(" \n") is None


def test_the_form_of_an_answer_is_told_from_the_truth() -> None:
    truths = ["no", "12", "bottom", "below", "cat", "top hat", "right arrow", "two cats"]
    assert [form_of(truth) for truth in truths] == [
        "yes_no", "count", "place", "relation", "name", "name", "name", "name",
    ]  # fmt: skip
