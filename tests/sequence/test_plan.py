"""The plan: length before tensors, atomic media, shortening and refusal with a reason."""

from __future__ import annotations

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from PIL import Image as Pillow

from tiny_world import talk, tokenizer
from triptych.conversation import (
    NORMALISED,
    THOUSANDTHS,
    Conversation,
    Frame,
    Image,
    Message,
    Part,
    Region,
    assistant,
    system,
    user,
)
from triptych.encoders.config import Fit
from triptych.encoders.preparation import ImagePreparation
from triptych.grounding.config import TextRegionsConfig
from triptych.grounding.introduce import region_writer
from triptych.language.template import ChatTemplate
from triptych.sequence.plan import IGNORE, Layout, Refusal, in_pixels, plan

TEMPLATE = ChatTemplate(tokenizer(), system_prompt="")


def image(number: int = 0) -> Image:
    return Image(b"", key=str(number), name=f"picture {number}")


def tokens(medium: Image) -> int:
    return 3 + int(medium.key or 0) % 5


def text(layout: Layout) -> str:
    return TEMPLATE.tokenizer.decode(layout.ids)


def full(conversation: Conversation) -> Layout:
    return plan(conversation, TEMPLATE, tokens, 100_000)


def test_layout_keeps_what_is_known_about_the_conversation() -> None:
    layout = full(Conversation((user("Hi"), assistant("Ho")), id="a/1", annotations={"kind": "greeting"}))
    assert (layout.id, layout.annotations, layout.dropped) == ("a/1", {"kind": "greeting"}, 0)
    assert layout.supervised == sum(label != IGNORE for label in layout.labels)


WIDE = Image(Pillow.new("RGB", (200, 100)), key="1", name="a wide picture")


def pointing(fit: Fit, *parts: Part) -> Layout:
    writer = region_writer(TextRegionsConfig(format="shikra"), ImagePreparation(64, fit))
    template = ChatTemplate(tokenizer(), system_prompt="", regions=writer)
    return plan(Conversation((user(WIDE, "Where?"), assistant("dog", *parts))), template, tokens, 1000)


@pytest.mark.parametrize("fit", ["pad", "crop", "squash", "corner"])
def test_regions_are_written_alike_whatever_frame_they_come_in(fit: Fit) -> None:
    pixels = Region((60, 20, 120, 80), Frame(200, 100))
    written = pointing(fit, pixels)
    for other in (NORMALISED, THOUSANDTHS, Frame(50, 50)):
        assert pointing(fit, pixels.to(other)).ids == written.ids


def test_a_region_is_of_the_picture_shown_last() -> None:
    small = Image(Pillow.new("RGB", (40, 30)))
    half = Region((0.0, 0.0, 0.5, 0.5), NORMALISED)
    messages = in_pixels([user("left of ", half, "?", WIDE), assistant(half), user(small, half), assistant(half)])
    assert [region.frame.width for message in messages for region in message.regions] == [200, 200, 40, 40]
    assert [region.box[2:] for message in messages for region in message.regions] == [(100, 50)] * 2 + [(20, 15)] * 2
    assert in_pixels([user("Hi", half)])[0].regions == (half,)  # of what, nobody knows


def test_a_region_that_is_cropped_away_is_not_written() -> None:
    frame = Frame(200, 100)  # the encoder sees 50 … 150
    away, point = Region((0, 10, 40, 40), frame, "dog"), Region.from_points([(20, 20)], frame)
    for region in (away, point):
        with pytest.raises(Refusal, match="not in the part of the picture that the encoder sees") as refused:
            pointing("crop", region)
        assert refused.value.reason == "regions"
    for region in (Region((0, 10, 60, 40), frame), Region.from_points([(60, 20)], frame)):
        assert len(pointing("crop", region)) > len(pointing("crop"))


def test_too_long_is_refused_where_the_recipe_says_so() -> None:
    conversation = talk("Hi", "Ho", "Who?", "Me.")
    length = len(full(conversation))
    assert len(plan(conversation, TEMPLATE, tokens, length, "refuse")) == length
    with pytest.raises(Refusal, match=f"{length} tokens do not fit into {length - 1}") as refused:
        plan(conversation, TEMPLATE, tokens, length - 1, "refuse")
    assert refused.value.reason == "too long"


def test_whole_turns_go_from_the_oldest_end_and_their_pictures_stay() -> None:
    first, second = image(1), image(2)
    conversation = Conversation(
        (
            system("Be brief."),
            user(first, "old question"),
            assistant("old answer"),
            user("new", second),
            assistant("yes"),
        )
    )
    layout = plan(conversation, TEMPLATE, tokens, len(full(conversation)) - 1)
    assert layout.dropped == 2
    assert "old" not in text(layout)
    assert "Be brief." in text(layout)
    assert "new" in text(layout)
    assert [span.medium for span in layout.spans] == [first, second]
    assert layout.spans[1].start > layout.spans[0].start + layout.spans[0].length  # "new" is between them


def test_pictures_of_what_came_before_the_first_question_stay_too() -> None:
    shown = image(1)
    conversation = Conversation(
        (assistant(shown, "look"), user("a question"), assistant("an answer"), user("new"), assistant("yes"))
    )
    layout = plan(conversation, TEMPLATE, tokens, len(full(conversation)) - 1)
    assert [span.medium for span in layout.spans] == [shown]
    assert layout.dropped == 3


def test_a_single_turn_that_does_not_fit_is_refused_never_cut() -> None:
    with pytest.raises(Refusal, match="even as a single turn"):
        plan(talk(image(4), "an answer"), TEMPLATE, tokens, 12)


@pytest.mark.parametrize("said", ["", " \n"])
def test_nothing_supervised_is_refused(said: str) -> None:
    with pytest.raises(Refusal, match="nothing to learn") as refused:
        full(talk("Hi", said))
    assert refused.value.reason == "nothing supervised"


def test_questions_without_answers_and_empty_conversations_are_refused() -> None:
    with pytest.raises(Refusal, match="nothing to learn"):
        full(talk("Hi"))
    with pytest.raises(Refusal, match="no messages"):
        full(Conversation(()))


def test_length_is_known_before_any_medium_is_opened() -> None:
    def explode() -> None:
        raise AssertionError("the picture was opened")

    medium = Image(explode, key="7")  # type: ignore[arg-type]
    layout = full(talk(medium, "yes"))
    assert layout.spans[0].length == tokens(medium)


said = st.text(st.characters(codec="ascii"), max_size=12)
parts = st.lists(said | st.integers(0, 9).map(image), max_size=3).map(tuple)
turns = st.lists(st.tuples(parts, said), min_size=1, max_size=5)


@settings(max_examples=100, deadline=None)
@given(turns, st.integers(8, 120), st.booleans())
def test_every_plan_fits_keeps_media_whole_and_in_order_and_loses_none(
    turns: list[tuple[tuple[str | Image, ...], str]], limit: int, headed: bool
) -> None:
    messages: list[Message] = [system("head")] if headed else []
    for asked, answer in turns:
        messages += [user(*asked), assistant(answer)]
    conversation = Conversation(tuple(messages))
    try:
        layout = plan(conversation, TEMPLATE, tokens, limit)
    except Refusal as refusal:
        if refusal.reason == "too long":
            everything = [medium for asked, _ in turns for medium in asked if isinstance(medium, Image)]
            last = Conversation((*messages[: int(headed)], user(*everything, *turns[-1][0]), assistant(turns[-1][1])))
            assert len(_write_all(last)) > limit or any(turns[-1][0])
        else:
            assert refusal.reason == "nothing supervised"
        assume(False)
    assert len(layout.ids) == len(layout.labels) <= limit
    assert [span.medium for span in layout.spans] == list(conversation.media)
    assert layout.supervised > 0
    end = 0
    for span in layout.spans:
        assert span.start >= end
        assert span.length == tokens(span.medium)
        end = span.start + span.length
        assert set(layout.labels[span.start : end]) == {IGNORE}
    assert end <= len(layout)
    if layout.dropped:
        assert len(_write_all(conversation)) > limit  # nothing is dropped without need


def _write_all(conversation: Conversation) -> tuple[int, ...]:
    return plan(conversation, TEMPLATE, tokens, 100_000, reply=True).ids
