"""Calls of expressions: the name in the singular, and a rule that admits as many boxes as there are."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import assume, example, given
from hypothesis import strategies as st
from PIL import Image as Pillow

from english import COCO, OTHERS
from triptych.conversation import Conversation, Frame, Region, assistant, user
from triptych.conversation.expression import Expression
from triptych.data.config import CocoInstancesConfig
from triptych.data.sources import build
from triptych.grounding.call_grounder import choose
from triptych.grounding.calls import Call, read_calls
from triptych.grounding.config import CallRegionsConfig
from triptych.grounding.detectors.detector import Detection
from triptych.grounding.expression_calls import write_call_of
from triptych.grounding.select import EXTREMES, NUMBERS, ORDINALS, RELATIONS, SIDES, read_selector
from triptych.grounding.unfold import CallRegions
from triptych.scenes.things import COUNT_WORDS, all_things

FRAME = Frame(90, 90)
NOUNS = {name: plural for name, plural in (COCO | OTHERS).items() if name not in ("skis", "ax")}
MODIFIERS = ("", "red ", "big brown ", "parked ", "toy ", "all-terrain ", "two-tone ")
UNIVERSAL = (
    "all", "all the", "all of the", "all these", "All of his", "each of the", "every one of the", "each one of the",
    "any", "any of the", "ALL",
)  # fmt: skip
SEVERAL = (
    "both",
    "both the",
    "both of the",
    "several",
    "several of the",
    "some",
    "a few",
    "many of the",
    "lots of",
    "these",
    "the",
    "",
)
SINGULAR = ("every", "each", "any", "every single", "Every", "each single")


def boxes(count: int) -> list[Region]:
    """Regions in a row at the top left, so that all of them lie in one place."""
    return [Region((i, 0.0, i + 1.0, 9.0), FRAME, "it") for i in range(count)]


@pytest.mark.parametrize(
    ("expression", "call"),
    [
        ("The two soccer balls.", ("soccer ball", "two")),
        ("all things to the left of the cup", ("thing", "all to the left of the cup")),
        ("a man in a red shirt", ("man in a red shirt", "best")),  # no place: the detector has to know
        ("woman", ("woman", "best")),
        ("the two men", ("man", "two")),
        ("Dr. Pepper can", ("Dr Pepper can", "best")),  # a dot would end a name
        ("the Dr. Pepper can above the St. Bernard.", ("Dr Pepper can", "above the St Bernard")),
        ("every dog", ("dog", "all")),
        ("all people", ("person", "all")),
        ("both dogs", ("dog", "all")),
        ("2 dogs", ("dog", "two")),
        ("all three of the dogs", ("dog", "three")),
        ("the other two dogs", ("dog", "two")),
        ("twelve eggs", ("egg", "all")),  # rules count to nine
        ("all the red cars on the left", ("red car", "all on the left")),
        ("every cup below the dog", ("cup", "all below the dog")),
        ("two pairs of scissors", ("pair of scissors", "two")),
        ("all scissors", ("scissors", "all")),
        ("all the slices of pizza", ("slice of pizza", "all")),
        ("people wearing hats", ("person wearing hats", "all")),
        ("all people sitting at the table", ("person sitting at the table", "all")),
        ("all boys playing video games", ("boy playing video games", "all")),
        ("all red parking meters", ("red parking meter", "all")),
        ("people in the background", ("person in the background", "all")),
        ("all dogs and cats", ("dog. cat", "all")),
        ("people, dogs and parking meters", ("person. dog. parking meter", "all")),
        ("the dog and the cat", ("dog. cat", "best")),
        ("all black and white cats", ("black and white cat", "all")),
        ("all salt and pepper shakers", ("salt and pepper shaker", "all")),
        ("everyone in red", ("person in red", "all")),
        ("both of them", ("thing", "all")),
        ("the two on the left", ("thing", "two on the left")),
        ("all the grass", ("grass", "all")),
        ("all food", ("food", "all")),
        ("every skis", ("skis", "all")),  # what stands behind "every" is a name as it is
        ("one of the dogs", ("dog", "best")),
        ("all TVs", ("TV", "all")),
        ("each of the two dogs", ("dog", "two")),
        ("two of the three dogs", ("dog", "two")),
        ("at least two dogs", ("dog", "all")),
        ("the left two dogs", ("left dog", "two")),
        ("the first two dogs from the left", ("first dog from the left", "two")),
        ("leftmost dogs", ("leftmost dog", "all")),
        ("all dogs above the two cats", ("dog", "all above the cat")),  # the detector looks for the cat, too
        ("both the dog and the cat", ("dog. cat", "all")),
        ("every dog and every cat", ("dog. cat", "all")),
        ("all of us", ("person", "all")),
        ("the red ones", ("red thing", "all")),
        ("two squid", ("squid", "two")),
        ("every mother-in-law", ("mother-in-law", "all")),
        ("all dogs!", ("dog", "all")),
        ('the sign that says "STOP"', ('sign that says "STOP"', "best")),
    ],
)  # fmt: skip
def test_calls_of_expressions(expression: str, call: tuple[str, str]) -> None:
    assert write_call_of(expression) == call


@pytest.mark.parametrize(
    "expression",
    [
        "dress", "bus", "glass", "lens", "cactus", "all-terrain vehicle", "all terrain vehicle", "every day bag", "everyday bag",
        "two-tone car", "two tone car", "anything-goes sign", "bothersome dog", "severalty sign", "oneself", "sports car",
        "man wearing glasses", "guy w glasses", "woman with two dogs", "man in all black", "kids table", "glasses case",
        "tennis racket", "scissors", "pants", "sheep", "group of people", "pair of shoes", "person who holds the dogs",
        "allspice jar", "christmas tree", "news stand",
    ],
)  # fmt: skip
def test_one_thing_stays_one(expression: str) -> None:
    assert write_call_of(f"the {expression}") == (expression, "best")


@pytest.mark.parametrize(
    "expression",
    [
        "all white shirt",
        "all the way left guy",
        "all in white",
        "some food",
        "zebras left",
        "no dogs",
        "two tone car",
        "man walking dogs",
    ],
)
def test_what_only_looks_like_a_number_stays_one(expression: str) -> None:
    assert write_call_of(expression) == (expression, "best")


@given(
    st.sampled_from(sorted(NOUNS)),
    st.sampled_from(MODIFIERS),
    st.sampled_from(UNIVERSAL),
    st.sampled_from([None, 0, 1, 2, 5]),
)
def test_universal_words_mean_all_however_many(name: str, modifier: str, word: str, count: int | None) -> None:
    regions = None if count is None else boxes(count)
    assert write_call_of(f"{word} {modifier}{NOUNS[name]}", regions) == (modifier + name, "all")


@given(
    st.sampled_from(sorted(COCO | OTHERS)),
    st.sampled_from(MODIFIERS),
    st.sampled_from(SINGULAR),
    st.sampled_from([None, 1, 3]),
)
@example("dog", "", "every", 1)
def test_every_and_each_keep_their_noun(name: str, modifier: str, word: str, count: int | None) -> None:
    assume(not (name == "skis" and word == "any"))
    regions = None if count is None else boxes(count)
    assert write_call_of(f"{word} {modifier}{name}", regions) == (modifier + name, "all")


@given(st.sampled_from(sorted(NOUNS)), st.sampled_from(MODIFIERS), st.sampled_from(SEVERAL), st.integers(2, 5))
def test_words_for_several_mean_all_of_the_boxes(name: str, modifier: str, word: str, count: int) -> None:
    expression = f"{word} {modifier}{NOUNS[name]}".strip()
    assert write_call_of(expression, boxes(count)) == (modifier + name, "all")
    # One box is one around all of them, and the detector looks for the group.
    assert write_call_of(expression, boxes(1))[1] == "best"


@given(
    st.sampled_from(sorted(NOUNS)),
    st.integers(2, 9),
    st.booleans(),
    st.sampled_from(["{} {}", "the {} {}", "{} of the {}"]),
)
def test_numbers_are_written_where_the_boxes_agree(name: str, count: int, digits: bool, form: str) -> None:
    expression = form.format(count if digits else NUMBERS[count - 1], NOUNS[name])
    assert write_call_of(expression) == write_call_of(expression, boxes(count)) == (name, NUMBERS[count - 1])
    assert write_call_of(expression, boxes(count + 1)) == (name, "all")
    assert write_call_of(expression, boxes(1))[1] == "best"


@given(st.sampled_from(sorted(set(COCO) - {"skis"})))
def test_a_class_name_alone_is_one_thing(name: str) -> None:
    assert (
        write_call_of(name) == write_call_of(f"the {name}") == write_call_of(f"the {name}", boxes(1)) == (name, "best")
    )
    assert write_call_of(f"the {name}", boxes(2)) == (name, "all")


WORDS = st.sampled_from(
    [
        *[
            "the",
            "a",
            "all",
            "of",
            "every",
            "each",
            "any",
            "both",
            "two",
            "one",
            "them",
            "in",
            "on",
            "at",
            "left",
            "right",
            "from",
            "first",
            "best",
            "leftmost",
            "above",
            "below",
            "place",
        ],
        *[
            "and",
            "or",
            "wearing",
            "with",
            "who",
            "dog",
            "dogs",
            "people",
            "red",
            "skis",
            "scissors",
            "thing",
            "everyone",
            "not",
            "is",
            ".",
            ";",
            ",",
            "-",
            "'",
            "3",
            "100",
        ],
    ]
)
EXPRESSIONS = st.one_of(st.lists(WORDS, min_size=1, max_size=8).map(" ".join), st.text(max_size=30))


@given(EXPRESSIONS, st.integers(0, 4))
@example("leftmost dog", 2)
@example("the second dog from the left", 2)
@example("dog on the left", 2)
@example("the cup above the dog", 3)
@example("every dog; every cat", 2)
def test_a_call_never_contradicts_its_boxes(expression: str, count: int) -> None:
    regions = boxes(count)
    caption, select = write_call_of(expression, regions)
    selector = read_selector(select)
    assert selector is not None
    assert "." not in caption.replace(". ", "")
    if selector.relation:
        return  # needs the boxes of the other thing
    if count > 1:
        assert selector.several and selector.count in (None, count) and caption
    chosen = selector.choose([Detection(region, 1.0) for region in regions])
    if count == 1 and select.split()[0] in (*ORDINALS, *EXTREMES):
        return  # one of others, which are not known
    assert len(chosen) == count


def test_a_place_that_the_boxes_do_not_lie_in_stays_with_the_name() -> None:
    left = [Region((0, 40, 9, 50), FRAME), Region((10, 40, 19, 50), FRAME)]
    assert write_call_of("the two dogs on the left", left) == ("dog", "two on the left")
    assert write_call_of("the dog on the left", left[:1]) == ("dog", "on the left")
    assert write_call_of("the two dogs on the left", boxes(2)) == ("dog on the left", "two")  # at the top left
    assert write_call_of("the dog on the left", boxes(1)) == ("dog on the left", "best")


def test_things_of_the_scenes_are_called_by_the_names_and_rules_of_their_list() -> None:
    """What the embedded data say of each thing means what the list of glyphs says, with and without the boxes."""
    for thing in all_things():
        name, plural = thing.name, thing.plural
        expected = {
            f"the {name}": (name, "best", 1),
            thing.times(1): (name, "best", 1),
            f"all {plural}": (name, "all", 1),
            **{f"the {COUNT_WORDS[n]} {plural}": (name, COUNT_WORDS[n], n) for n in range(2, 10)},
            **{thing.times(n): (name, COUNT_WORDS[n], n) for n in range(2, 10)},
            **{f"the {word} {name}": (name, word, 1) for word in EXTREMES},
            **{
                f"the {n} {name} from the {side}": (name, f"{n} from the {side}", 1)
                for n in ORDINALS[:3]
                for side in SIDES
            },
            **{f"the {name} {relation} the {name}": (name, f"{relation} the {name}", 1) for relation in RELATIONS},
            f"the {name} at the top left": (name, "at the top left", 1),
        }
        for expression, (caption, select, count) in expected.items():
            assert write_call_of(expression) == (caption, select)
            assert write_call_of(expression, boxes(count)) == (caption, select)
            assert write_call_of(expression, []) == (caption, select)
        assert write_call_of(f"all {plural}", boxes(3)) == (name, "all")


def conversation(expression: str, regions: list[Region], words: str) -> Conversation:
    annotations = {"grounding": (Expression(expression, tuple(regions)),)}
    return Conversation((user(f"Find {expression}."), assistant(words, *regions)), annotations=annotations)


@pytest.mark.parametrize(("expression", "caption"), [("every dog", "dog"), ("all people", "person"), ("dog", "dog")])
def test_conversations_about_photographs_are_unfolded_into_calls_for_all(expression: str, caption: str) -> None:
    unfolded = CallRegions(CallRegionsConfig()).unfold(conversation(expression, boxes(2), expression))
    (call,) = read_calls(unfolded.messages[1].text, "detector").calls
    assert (call.caption, call.select) == (caption, "all")
    assert unfolded.messages[2].text.startswith(f"detector: {caption} ")
    ((_, chosen),) = choose(call, [Detection(Region(r.box, FRAME, caption), 1.0) for r in boxes(2)])
    assert len(chosen) == 2


def test_instances_of_coco_become_calls_that_find_them(tmp_path: Path) -> None:
    classes = ["person", "skis", "wine glass", "mouse"]
    boxes_of = {"person": 3, "skis": 2, "wine glass": 1, "mouse": 2}
    instances = {
        "images": [{"id": 1, "file_name": "1.png", "width": 90, "height": 90}],
        "categories": [{"id": i, "name": name} for i, name in enumerate(classes)],
        "annotations": [
            {"id": 10 * i + k, "image_id": 1, "category_id": i, "bbox": [10 * k, 20 * i, 9, 18], "iscrowd": 0}
            for i, name in enumerate(classes)
            for k in range(boxes_of[name])
        ],
    }
    Pillow.new("RGB", (90, 90)).save(tmp_path / "1.png")
    (tmp_path / "instances.json").write_text(json.dumps(instances))
    source = build(CocoInstancesConfig(annotations=tmp_path / "instances.json", images=tmp_path, turns=4))
    messages = [m for one in source for m in CallRegions(CallRegionsConfig()).unfold(one).messages]
    calls = [call for message in messages[1::4] for call in read_calls(message.text, "detector").calls]
    assert {call.caption: call.select for call in calls} == {
        "person": "all",
        "skis": "all",
        "wine glass": "best",
        "mouse": "all",
    }


def test_results_of_two_names_stand_behind_their_names() -> None:
    dogs, cat = [Region(r.box, FRAME, "dogs") for r in boxes(2)], Region((50, 50, 60, 60), FRAME, "the cat")
    writer = CallRegions(CallRegionsConfig())
    message = writer.unfold(conversation("all dogs and the cat", [*dogs, cat], "here")).messages[2]
    assert message.text == "detector: dog  ; cat "
    unnamed = writer.unfold(conversation("all dogs and the cat", boxes(3), "here")).messages[2]
    assert unnamed.text.startswith("detector: dog. cat")


def test_captions_name_single_things() -> None:
    men = [Region(r.box, FRAME, "two men") for r in boxes(2)]
    crowd = Region((50, 50, 60, 60), FRAME, "people")
    described = Conversation((user("Describe."), assistant("two men", *men, " before ", "people", crowd)))
    (call,) = read_calls(CallRegions(CallRegionsConfig()).unfold(described).messages[1].text, "detector").calls
    assert call == Call("detector", "man. people")
