"""The chain of grounding by calls: question, call, what the detector finds, the model's last word."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest
import torch
from PIL import Image as Pillow

from triptych.conversation import Conversation, Frame, Image, Region, assistant, user
from triptych.conversation.expression import DESCRIBE, Expression
from triptych.generate.config import GenerationSettings, Reply
from triptych.grounding.call_grounder import CallGrounder
from triptych.grounding.calls import Call, write_answer, write_calls
from triptych.grounding.config import CallRegionsConfig
from triptych.grounding.detectors.detector import Detector, Found
from triptych.grounding.grounding import Describer, Grounder
from triptych.grounding.unfold import CallRegions

BOXES = {"dog": [(0.0, 0.0, 20.0, 20.0), (60.0, 60.0, 80.0, 80.0)], "cup": [(0.0, 60.0, 20.0, 80.0)]}


class Boxes(Detector):
    """Finds what `BOXES` says, each box surer than the next; keeps what it was asked."""

    def __init__(self) -> None:
        super().__init__(8, None)
        self.asked: list[list[str]] = []

    def find(self, images: Sequence[Image], phrases: Sequence[Sequence[str]]) -> list[Found]:
        found = []
        for own in phrases:
            self.asked.append(list(own))
            boxes = [(box, i) for i, phrase in enumerate(own) for box in BOXES.get(phrase, [])]
            rows = torch.tensor([box for box, _ in boxes]).reshape(-1, 4)
            scores = torch.linspace(0.9, 0.5, len(boxes))
            found.append(Found(rows, scores, torch.tensor([i for _, i in boxes], dtype=torch.long), (90, 90)))
        return found


class Script:
    """Says what stands in the script for the last message of the user's, and keeps what it heard."""

    def __init__(self, script: dict[str, str]) -> None:
        self.script = script
        self.heard: list[Conversation] = []

    def respond(self, conversations: Sequence[Conversation], settings: GenerationSettings) -> list[Reply]:
        self.heard += conversations
        return [Reply(self.script[c.messages[-1].text], 1, "stop") for c in conversations]


def picture(red: int = 0) -> Image:
    return Image(Pillow.new("RGB", (90, 90), (red, 0, 0)))


def call(caption: str, select: str, **options: Any) -> str:
    return write_calls([Call("detector", caption, select)], **options)


def grounder(script: dict[str, str], **options: Any) -> tuple[CallGrounder, Script, Boxes]:
    script_, boxes = Script(script), Boxes()
    return CallGrounder(script_, boxes, CallRegionsConfig(**options)), script_, boxes


def test_the_call_decides_what_is_found_and_the_conversation_goes_on_with_it() -> None:
    made, heard, boxes = grounder(
        {"Find the cup below the dog.": call("cup", "below the dog"), "detector: cup ": "the cup"}
    )
    assert isinstance(made, Grounder)
    found = made.ground(picture(), "the cup below the dog")
    assert [region.box for region in found.regions] == BOXES["cup"]
    assert found.regions[0].name == "cup" and found.regions[0].frame == Frame(90, 90)
    assert found.verdict == "valid" and 0 < found.scores[0] < 1
    assert found.text.splitlines()[1:] == ["detector: cup [0.00, 0.67, 0.22, 0.89]", "the cup[0.00, 0.67, 0.22, 0.89]"]
    assert boxes.asked == [["cup", "dog"]]
    assert [message.role for message in heard.heard[1].messages] == ["user", "assistant", "user"]


def test_the_last_message_holds_the_regions() -> None:
    made, _, _ = grounder({"Where are the dogs?": call("dog", "all"), "detector: dog  ": "Two dogs"})
    (exchange,) = made.converse([Conversation((user(picture(), "Where are the dogs?"),))])
    assert exchange.messages[-1].text == "Two dogs"
    assert [region.box for region in exchange.messages[-1].regions] == BOXES["dog"]
    assert exchange.messages[1].regions == exchange.messages[-1].regions


def test_none_such_is_said_by_the_detector_or_by_the_model() -> None:
    script = {
        "Find the cat.": call("cat", "best"),
        "detector: none": "none",
        "Find the dog.": call("dog", "best"),
        "detector: dog ": "none",
    }
    made, _, _ = grounder(script)
    for expression in ("the cat", "the dog"):
        found = made.ground(picture(), expression)
        assert (found.regions, found.verdict) == ((), "none")
    silent, heard, _ = grounder(script, answer=False)
    assert len(silent.ground(picture(), "the dog").regions) == 1  # without the last word it stays with what was found
    assert len(heard.heard) == 1


def test_answers_without_a_sound_call_find_nothing() -> None:
    script = {
        "Find the dog.": "It is on the left.",
        "Find the cup.": write_calls([Call("shell", "rm")]),
        "Find the hat.": call("dog", "best")[:-2],
        "Find the bus.": "",
        "Find the owl.": "None.",
        "Find the car.": write_answer("none", "full"),
        "detector: dog ": "dog",
    }
    made, _, boxes = grounder(script)
    words, other, cut = made.ground_many([(picture(), f"the {name}") for name in ("dog", "cup", "hat")])
    assert (words.verdict, words.regions) == ("invalid", ())
    assert (other.verdict, other.regions) == ("invalid", ())
    assert (cut.verdict, len(cut.regions)) == ("repaired", 1)
    assert boxes.asked == [["dog"]]
    unsaid, none, full = made.ground_many([(picture(), f"the {name}") for name in ("bus", "owl", "car")])
    assert [each.verdict for each in (unsaid, none, full)] == ["invalid", "none", "none"]
    (plain,) = made.converse([Conversation((user(picture(), "Find the dog."),))])
    assert plain.verdict == "none"  # in a conversation, words are an answer like any other


class Rivals(Boxes):
    """Gives every box to the first of the phrases, as OWL and GroundingDINO give each to its best."""

    def find(self, images: Sequence[Image], phrases: Sequence[Sequence[str]]) -> list[Found]:
        return [
            found._replace(phrases=torch.zeros_like(found.phrases)) if "dog" in own else found
            for own, found in zip(phrases, super().find(images, phrases), strict=True)
        ]


def test_what_is_found_does_not_depend_on_what_others_ask_of_the_picture() -> None:
    script = {
        "Find the dog.": call("dog", "best"),
        "Find the cup.": call("cup", "best"),
        "detector: dog ": "a",
        "detector: cup ": "b",
    }
    boxes = Rivals()
    made = CallGrounder(Script(script), boxes, CallRegionsConfig())
    shared = picture()
    pairs = [(shared, "the dog"), (shared, "the cup"), (shared, "the dog"), (picture(9), "the cup")]
    answers = made.ground_many(pairs)
    assert boxes.asked == [["dog"], ["cup"], ["cup"]]  # what is the same is asked once
    assert [answer.regions[0].name for answer in answers] == ["dog", "cup", "dog", "cup"]
    assert answers == [made.ground(*pair) for pair in pairs]


def test_the_full_style_is_llava_plus() -> None:
    question = "Find the dog."
    first = call("dog", "best", style="full", thoughts="I look for it")
    again = f"detector output: dog \n\nPlease summarize the model outputs and answer my first question: {question}"
    made, _, _ = grounder({question: first, again: write_answer("It is here", "full")}, style="full")
    (exchange,) = made.converse([Conversation((user(picture(), question),))])
    assert exchange.messages[-1].text == "It is here"
    assert exchange.verdict == "valid"


REGION = Region((9.0, 9.0, 45.0, 90.0), Frame(90, 90), "dog")


def test_conversations_with_regions_unfold_into_calls() -> None:
    told = Conversation(
        (
            user(picture(), "Find the leftmost dog."), assistant("dog", REGION),
            user("Is there a cat?"), assistant("no"),
            user("Find all cats."), assistant("none"),
            user("What is in ", REGION, "?"), assistant("dog"),
        ),
        annotations={"grounding": (Expression("the leftmost dog", (REGION,), "place"), Expression("all cats", (), "none"))},
    )  # fmt: skip
    writer = CallRegions(CallRegionsConfig())
    unfolded = writer.unfold(told)
    said = [
        "".join(str(part) for part in writer.write(m.parts, True) if isinstance(part, str)) for m in unfolded.messages
    ]
    assert said == [
        "Find the leftmost dog.", call("dog", "leftmost"), "detector: dog [0.10, 0.10, 0.50, 1.00]", "dog",
        "Is there a cat?", "no",
        "Find all cats.", call("cat", "all"), "detector: none", "none",
        "What is in [0.10, 0.10, 0.50, 1.00]?", "dog",
    ]  # fmt: skip
    assert [m.role for m in unfolded.messages] == ["user", "assistant"] * 6
    assert writer.unfold(unfolded) == unfolded
    nothing = Conversation((user(picture(), "Is there a cat?"), assistant("no")))
    assert writer.unfold(nothing) == nothing


def test_a_plain_question_about_the_same_thing_is_no_call() -> None:
    cup = Region((0.0, 0.0, 9.0, 9.0), Frame(90, 90), "cup")
    told = Conversation(
        (
            user(picture(), "What colour is the cup?"), assistant("red"),
            user("How many of the cats are there?"), assistant("0"),
            user("Find the cup."), assistant("cup", cup),
            user("Find all cats."), assistant("none"),
        ),
        annotations={"grounding": (Expression("the cup", (cup,), "name"), Expression("all cats", (), "none"))},
    )  # fmt: skip
    messages = CallRegions(CallRegionsConfig()).unfold(told).messages
    assert [m.text for m in messages[:5]] == [m.text for m in told.messages[:5]]
    assert messages[5].text == call("cup", "best") and messages[6].regions == (cup,) and messages[7].text == "cup"
    assert [m.text for m in messages[8:]] == ["Find all cats.", call("cat", "all"), "detector: none", "none"]


def test_a_conversation_goes_on_after_an_exchange() -> None:
    made, _, _ = grounder({"Find the dog.": call("dog", "best"), "detector: dog ": "dog"})
    question = Conversation((user(picture(), "Find the dog."),))
    (exchange,) = made.converse([question])
    later = made.writer.unfold(question.then(*exchange.messages, user("Find the dog.")))
    assert [message.role for message in later.messages] == ["user", "assistant", "user", "assistant", "user"]
    assert later.messages[3].parts == ("dog",)  # its regions are in the detector's turn already


def test_grounded_captions_unfold_without_expressions() -> None:
    other = Region((0.0, 0.0, 9.0, 9.0), Frame(90, 90), "two cups")
    told = Conversation((user(picture(), "Describe."), assistant("a dog", REGION, " and ", "two cups", other, other)))
    messages = CallRegions(CallRegionsConfig()).unfold(told).messages
    assert messages[1].text == write_calls([Call("detector", "dog. cup")])
    assert messages[2].text == "detector: dog ; cup  "
    assert messages[3].text == "a dog and two cups"


def test_the_model_plans_calls(world: Any, tiny_cache: Any) -> None:
    """What is learned is the call and the last answer; what the detector says is read."""
    from triptych.model.build import build

    model = build(world.recipe({"model.regions": {"kind": "call"}, "sequence.max_tokens": 512}))
    told = Conversation((user(world.picture(0), "Find it."), assistant("it", REGION)))
    layout = model.plan(told)
    decode = model.language.tokenizer.decode
    learned = decode([i for i, label in zip(layout.ids, layout.labels, strict=True) if label >= 0])
    end = "<|im_end|>"
    assert learned.startswith(call("dog", "")[:40]) and learned.count(end) == 2
    assert learned.split(end)[1] == "it"
    assert "detector: dog [0.10, 0.10, 0.50, 1.00]" in decode(layout.ids)


def test_a_call_and_what_it_found_leave_a_long_conversation_with_their_question(world: Any, tiny_cache: Any) -> None:
    from triptych.model.build import build

    model = build(world.recipe({"model.regions": {"kind": "call"}, "sequence.max_tokens": 512}))
    told = Conversation(
        (
            user(world.picture(0), "Find it."), assistant("it", REGION),
            user("And the rest?"), assistant("the rest", REGION),
        )
    )  # fmt: skip
    whole = model.plan(told)
    model.sequence = model.sequence.model_copy(update={"max_tokens": len(whole) - 1})
    shortened = model.plan(told)
    text = model.language.tokenizer.decode(shortened.ids)
    assert shortened.dropped == 4 and len(shortened.spans) == 1
    assert "Find it." not in text and "And the rest?" in text
    assert text.count("detector: dog [") == 1  # that of the question which stayed


@pytest.mark.parametrize("name", ["", "a b", "x;y"])
def test_the_name_of_the_detector_is_plain(name: str) -> None:
    with pytest.raises(ValueError, match="name"):
        CallRegionsConfig(name=name)


def test_a_caption_is_tied_to_what_was_called_for() -> None:
    made, _, _ = grounder({DESCRIBE: call("dog. cup", "all"), "detector: dog  ; cup ": "two dogs and a cup"})
    assert isinstance(made, Describer)
    (found,) = made.describe_many([picture()])
    assert [(region.name, region.box) for region in found.regions] == [
        (name, box) for name in ("dog", "cup") for box in BOXES[name]
    ]
    assert (found.text, found.verdict) == ("two dogs and a cup", "valid")
    untaught, _, _ = grounder({DESCRIBE: "a picture of dogs"})
    (plain,) = untaught.describe_many([picture()])
    assert (plain.text, plain.regions, plain.verdict) == ("a picture of dogs", (), "none")
