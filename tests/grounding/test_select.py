"""Rules that choose among boxes: from an expression to a call and, with perfect boxes, back to exactly what was meant."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from triptych.conversation import Conversation, Frame, Image, Region
from triptych.conversation.expression import Expression
from triptych.errors import WeightsError
from triptych.grounding.call_grounder import choose
from triptych.grounding.calls import Call
from triptych.grounding.config import CallRegionsConfig
from triptych.grounding.detector_grounder import DetectorGrounder
from triptych.grounding.detectors.detector import Detection, Detector, Found
from triptych.grounding.expression_calls import write_call_of
from triptych.grounding.grounding import Grounder
from triptych.grounding.select import read_selector
from triptych.grounding.unfold import CallRegions
from triptych.scenes.referring import Referring, ReferringConfig
from triptych.weights import OPENMOJI_FONT, fetch

FRAME = Frame(90, 90)


@pytest.fixture(scope="module")
def font() -> str:
    try:
        return str(fetch(OPENMOJI_FONT))
    except WeightsError as error:
        pytest.skip(f"the font of the scenes cannot be had: {error}")


def perfect(conversation: Conversation) -> list[Detection]:
    """What a detector finds that makes no mistake: every thing by its name, and as a "thing"."""
    things = conversation.annotations["scene"]["objects"]
    frame = Frame(*conversation.annotations["scene"]["size"])
    return [
        Detection(Region(tuple(item["box"]), frame, name), 1.0) for item in things for name in (item["name"], "thing")
    ]


@pytest.mark.parametrize("settings", [{"things": 16}, {"things": 200, "objects": (1, 9), "turns": 9}])
def test_with_perfect_boxes_the_call_of_an_expression_means_exactly_its_regions(
    font: str, settings: dict[str, object]
) -> None:
    kinds = dict.fromkeys(("name", "place", "relation", "order", "all", "none"), 1.0)
    asked = 0
    for conversation in Referring(ReferringConfig(count=200, kinds=kinds, font=f"file:{font}", **settings)):  # type: ignore[arg-type]
        for expression in conversation.annotations["grounding"]:
            asked += 1
            call = Call("detector", *write_call_of(expression.text))
            assert read_selector(call.select) is not None
            ((_, found),) = choose(call, perfect(conversation))
            assert {one.region.box for one in found} == {region.box for region in expression.regions}, (
                expression,
                call,
            )
    assert asked > 300


def test_a_detector_alone_understands_expressions_by_rule(font: str) -> None:
    class Perfect(Detector):
        def detect_many(self, images: Sequence[Image], phrases: Sequence[Sequence[str]]) -> list[list[Detection]]:
            seen = [by_picture[image.content_hash] for image in images]
            return [[one for one in own if one.region.name in asked] for own, asked in zip(seen, phrases, strict=True)]

        def find(self, images: Sequence[Image], phrases: Sequence[Sequence[str]]) -> list[Found]:
            raise NotImplementedError

    told = list(Referring(ReferringConfig(count=10, font=f"file:{font}")))
    by_picture = {next(iter(one.media)).content_hash: perfect(one) for one in told}
    grounder = DetectorGrounder(Perfect(1, None))
    assert isinstance(grounder, Grounder)
    pairs = [(next(iter(one.media)), e) for one in told for e in one.annotations["grounding"]]
    for (_, expression), found in zip(pairs, grounder.ground_many([(p, e.text) for p, e in pairs]), strict=True):
        assert {region.box for region in found.regions} == {region.box for region in expression.regions}
        assert found.verdict == ("valid" if expression.regions else "none")


def at(left: float, top: float, name: str = "dog", score: float = 1.0) -> Detection:
    return Detection(Region((left, top, left + 10, top + 10), FRAME, name), score)


def chosen(words: str, found: list[Detection], others: list[Detection] | None = None) -> list[tuple[float, float]]:
    rule = read_selector(words)
    assert rule is not None
    return [one.region.box[:2] for one in rule.choose(found, others or [])]


def test_rules_on_three_dogs() -> None:
    dogs = [at(40, 0, score=0.9), at(70, 70, score=0.8), at(0, 40, score=0.7)]
    assert chosen("best", dogs) == [(40, 0)]
    assert chosen("all", dogs) == chosen("", dogs) == chosen("three", dogs) == [(40, 0), (0, 40), (70, 70)]
    assert chosen("two", dogs) == [(40, 0), (70, 70)]
    assert chosen("leftmost", dogs) == chosen("first from the left", dogs) == [(0, 40)]
    assert chosen("lowest", dogs) == chosen("third from the top", dogs) == [(70, 70)]
    assert chosen("fourth from the left", dogs) == []
    assert chosen("on the left", dogs) == [(0, 40)]
    assert chosen("at the bottom right", dogs) == [(70, 70)]
    assert chosen("in the center", dogs) == []
    cat = [at(10, 5, "cat")]
    assert chosen("below the cat", dogs, cat) == [(70, 70)]
    assert chosen("all below the cat", dogs, cat) == [(0, 40), (70, 70)]
    assert chosen("above the cat", dogs, cat) == []  # in one row nothing is above anything
    assert chosen("to the right of the cat", dogs, []) == []


@pytest.mark.parametrize("words", ["the nicest", "second", "from the left", "above", "best best", "third from the sky"])
def test_unknown_rules_are_told_apart(words: str) -> None:
    assert read_selector(words) is None


@pytest.mark.parametrize("select", [True, False])
def test_a_name_with_a_dot_is_one_name(select: bool) -> None:
    call = CallRegions(CallRegionsConfig(select=select)).call_of(Expression("Dr. Pepper can"))
    assert call.phrases == ["Dr Pepper can"]
