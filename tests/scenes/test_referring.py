"""Expressions are resolved again by a reader (expression_reader.py) that shares nothing with the code that wrote them."""

from __future__ import annotations

from collections import Counter, defaultdict
from typing import Any

import numpy as np
import pytest
from expression_reader import AmbiguousError, ExpressionReader
from pydantic import ValidationError

from triptych.conversation import Conversation, Region
from triptych.conversation.expression import LOCATE, NONE, Expression
from triptych.scenes import all_things, held_out
from triptych.scenes.referring import REFERRING_KINDS, Referring, ReferringConfig

READER = ExpressionReader({thing.name: thing.plural for thing in all_things()}, 260)
EVERYTHING = dict.fromkeys(REFERRING_KINDS, 1.0)
LOCATING = {kind: 1.0 for kind in REFERRING_KINDS if kind not in ("caption", "what")}


def items(conversation: Conversation) -> list[tuple[str, tuple[int, int, int, int]]]:
    return [(item["name"], tuple(item["box"])) for item in conversation.annotations["scene"]["objects"]]


@pytest.mark.parametrize(
    "settings",
    [
        {"kinds": LOCATING},
        {"kinds": LOCATING, "things": 200, "objects": (1, 9), "turns": 9},
        {"kinds": {"order": 1, "all": 1, "none": 2}, "things": 3, "objects": (4, 9), "turns": 6},
        {"kinds": {"relation": 1, "none": 1}, "split": "pairs", "things": 30},
        {"kinds": {"place": 1, "none": 1}, "objects": (1, 9), "split": "test"},
    ],
)
def test_every_expression_means_exactly_its_regions(font: object, settings: dict[str, Any]) -> None:
    for conversation in Referring(ReferringConfig(count=250, **settings)):
        for expression in conversation.annotations["grounding"]:
            meant = {region.box for region in expression.regions}
            assert READER.find(items(conversation), expression.text) == meant, expression
            assert bool(meant) == (expression.kind != "none")
            assert (len(meant) > 1) <= (expression.kind == "all")


def test_the_reader_notices_ambiguity() -> None:
    """The proof above is worth something: two dogs are not "the dog"."""
    two = [("dog", (10, 10, 60, 60)), ("dog", (100, 10, 150, 60)), ("cup", (10, 200, 60, 250))]
    for text in ("the dog", "the thing above the cup", "the topmost dog", "the three dogs"):
        with pytest.raises(AmbiguousError):
            READER.find(two, text)
    assert READER.find(two, "the leftmost dog") == {(10, 10, 60, 60)}


def test_the_conversation_says_what_the_annotations_say(font: object) -> None:
    for conversation in Referring(ReferringConfig(count=100, kinds=EVERYTHING, turns=4)):
        facts = conversation.annotations
        asked = iter(facts["grounding"])
        for question, answer in zip(conversation.messages[::2], conversation.messages[1::2], strict=True):
            regions = tuple(part for part in answer.parts if isinstance(part, Region))
            if any(isinstance(part, Region) for part in question.parts):
                (region,) = (part for part in question.parts if isinstance(part, Region))
                assert region.name == ""  # a name would give the answer away
                assert (answer.text, region.box) in items(conversation)
            elif "grounded_caption" in facts:
                assert sorted(region.box for region in regions) == sorted(box for _, box in items(conversation))
                assert "".join(part for part in answer.parts if isinstance(part, str)) == facts["caption"]
            else:
                expression = next(asked)
                assert LOCATE.format(expression=expression.text) in question.parts
                assert regions == expression.regions
                assert (answer.parts == (NONE,)) == (not regions)
        assert next(asked, None) is None


def test_a_captions_phrases_stand_right_before_their_regions(font: object) -> None:
    for conversation in Referring(ReferringConfig(count=50, kinds={"caption": 1}, objects=(2, 7))):
        parts = conversation.messages[1].parts
        phrases: dict[str, list[Region]] = {}
        for part in parts:
            if isinstance(part, str):
                phrases[part] = []
            else:
                phrases[list(phrases)[-1]].append(part)
        written = {text: tuple(regions) for text, regions in phrases.items() if regions}
        expected: tuple[Expression, ...] = conversation.annotations["grounded_caption"]
        assert written == {expression.text: expression.regions for expression in expected}
        assert all(region.name == expression.text for expression in expected for region in expression.regions)


def test_what_stands_before_the_regions_is_the_recipes_choice(font: object) -> None:
    def first(answer: str) -> list[tuple[Any, ...]]:
        source = Referring(ReferringConfig(count=30, kinds={"all": 1}, turns=1, answer=answer))  # type: ignore[arg-type]
        return [conversation.messages[1].parts for conversation in source]

    for bare, named, repeated in zip(first("regions"), first("name"), first("phrase"), strict=True):
        boxes = [[part.box for part in parts if isinstance(part, Region)] for parts in (bare, named, repeated)]
        assert boxes[0] == boxes[1] == boxes[2] and len(bare) + 1 == len(named) == len(repeated)
        assert repeated[0].startswith(("all ", "the "))
        assert all(part.name == parts[0] for parts in (named, repeated) for part in parts[1:])
        assert named[0] in {name for thing in all_things() for name in (thing.name, thing.plural, "things")}


def test_the_shares_are_those_of_the_recipe(font: object) -> None:
    config = ReferringConfig(count=800, kinds={"name": 3, "place": 2, "relation": 2, "order": 1, "none": 2})
    counts = Counter(e.kind for conversation in Referring(config) for e in conversation.annotations["grounding"])
    for kind, share in {"name": 0.3, "place": 0.2, "relation": 0.2, "order": 0.1, "none": 0.2}.items():
        assert abs(counts[kind] / counts.total() - share) < 0.03, counts


def test_words_alone_do_not_tell_that_there_is_none_such(font: object) -> None:
    """A guesser that remembers which names were asked for in vain is no better than "none" at its share."""
    seen: dict[str, Counter[bool]] = defaultdict(Counter)
    kinds = {"name": 1, "none": 1}
    for conversation in Referring(ReferringConfig(count=1500, kinds=kinds, turns=1)):
        (expression,) = conversation.annotations["grounding"]
        seen[expression.text][not expression.regions] += 1
    right, asked = 0, 0
    for conversation in Referring(ReferringConfig(count=600, kinds=kinds, turns=1, split="test")):
        (expression,) = conversation.annotations["grounding"]
        right += seen[expression.text].most_common(1)[0][0] == (not expression.regions)
        asked += 1
    assert abs(right / asked - 0.5) < 4 * (0.25 / asked) ** 0.5


def test_splits_show_other_pictures_and_pairs_hold_out_pairs(font: object) -> None:
    keys: dict[str, set[str]] = {}
    for split in ("train", "validation", "test"):
        source = Referring(ReferringConfig(count=40, split=split))
        keys[split] = {str(next(conversation.media).key) for conversation in source}
        for conversation in source:
            names = conversation.annotations["phrases"]
            assert not any(held_out(a, b) for a in names for b in names)
    assert not keys["train"] & keys["validation"] | keys["train"] & keys["test"]
    for conversation in Referring(ReferringConfig(count=20, split="pairs", things=64)):
        names = conversation.annotations["phrases"]
        assert any(held_out(a, b) for a in names for b in names)


def test_a_conversation_depends_on_nothing_but_settings_and_index(font: object) -> None:
    few, many = (Referring(ReferringConfig(count=n, kinds=EVERYTHING)) for n in (20, 50))
    assert few[-1].messages[1] == many[19].messages[1]
    assert [c.annotations["grounding"] for c in few] == [many[i].annotations["grounding"] for i in range(20)]
    with pytest.raises(IndexError):
        few[20]


def test_masks_are_the_pixels_of_the_objects(font: object) -> None:
    source = Referring(ReferringConfig(count=10, kinds={"name": 1}, masks=True))
    for i, conversation in enumerate(source):
        scene = source.scene(i)
        masks = {scene.region(k).box: scene.mask(k) for k in range(len(scene.objects))}
        for expression in conversation.annotations["grounding"]:
            (region,) = expression.regions
            assert region.mask is not None
            np.testing.assert_array_equal(region.mask.decode(260, 260), masks[region.box])


@pytest.mark.parametrize(
    ("wrong", "says"),
    [
        ({"kinds": {"name": -1}}, "expected a number from 0"),
        ({"kinds": {"name": 0}}, "every kind has a share of 0"),
        ({"kinds": {"colour": 1}}, "kinds"),
        ({"kinds": {"relation": 1}, "objects": (1, 1)}, "needs two objects"),
        ({"objects": (3, 2)}, "fewest and most|fewest, most"),
        ({"wordings": ("Find it.",)}, "expression"),
        ({"things": 1}, "things"),
    ],
)
def test_impossible_settings_are_refused_with_a_reason(wrong: dict[str, Any], says: str) -> None:
    with pytest.raises(ValidationError, match=says):
        ReferringConfig(count=1, **wrong)
