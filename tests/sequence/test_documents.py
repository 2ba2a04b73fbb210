"""Documents: text without roles, supervised to its end, media where they stand."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tiny_world import tokenizer
from triptych.conversation import Conversation, Image, Message, assistant, document, user
from triptych.language.template import ChatTemplate
from triptych.sequence.pack import pack
from triptych.sequence.plan import IGNORE, Layout, Refusal, plan

TEMPLATE = ChatTemplate(tokenizer(end="</s>", begin="<s>", template=None))
BARE = ChatTemplate(tokenizer())
"""The tokenizer has no beginning of text."""


def full(*messages: Message, template: ChatTemplate = TEMPLATE, **options: object) -> Layout:
    return plan(Conversation(messages), template, lambda _: 3, 1000, **options)  # type: ignore[arg-type]


def image(name: str) -> Image:
    return Image(b"", key=name, name=name)


def text(template: ChatTemplate, ids: tuple[int, ...]) -> str:
    return template.tokenizer.decode([i for i in ids if i != IGNORE])


def test_a_document_is_its_text_between_the_tokenizers_own_ends_and_all_of_it_is_supervised() -> None:
    layout = full(document("hello there, who is it?"))
    assert text(TEMPLATE, layout.ids) == "<s>hello there, who is it?</s>"
    assert text(TEMPLATE, layout.labels) == "hello there, who is it?</s>"
    assert layout.supervised == len(layout) - 1


def test_the_first_token_is_no_target_even_where_the_tokenizer_has_no_beginning_of_text() -> None:
    layout = full(document("hello there"), template=BARE)
    assert text(BARE, layout.ids) == "hello there<|im_end|>"
    batch = pack([layout], 64)
    assert batch.supervised == layout.supervised == len(layout) - 1


def test_media_stand_where_they_stood_and_are_never_supervised() -> None:
    one, two = image("1"), image("2")
    layout = full(document("before ", one, " between"), document(two, " after"))
    assert [span.medium for span in layout.spans] == [one, two]
    for span in layout.spans:
        assert set(layout.labels[span.start : span.start + span.length]) == {IGNORE}
    assert text(TEMPLATE, layout.labels) == "before  between after</s>"


def test_stretches_that_are_given_are_read_and_not_supervised() -> None:
    layout = full(document("It is", supervised=False), document(" red"))
    assert text(TEMPLATE, layout.ids) == "<s>It is red</s>"
    assert text(TEMPLATE, layout.labels) == " red</s>"
    given = full(user("Who?"), assistant("I.", supervised=False), user("Who?"), assistant("You."))
    assert text(TEMPLATE, given.labels) == "You.</s>"


def test_special_tokens_in_a_document_are_only_text() -> None:
    layout = full(document("a</s>b<s>"))
    special = set(TEMPLATE.tokenizer.all_special_ids)
    assert [i for i in layout.ids if i in special] == [layout.ids[0], layout.ids[-1]]


def test_a_document_to_continue_has_no_end() -> None:
    layout = full(document("It is"), reply=True)
    assert text(TEMPLATE, layout.ids) == "<s>It is"
    assert set(layout.labels) == {IGNORE}


def test_documents_and_turns_do_not_mix() -> None:
    with pytest.raises(Refusal, match="a document or has turns, not both"):
        full(document("text"), user("Hi"))


def test_nothing_to_learn_is_refused() -> None:
    for messages in [(document(image("1")),), (document("given", supervised=False),), (document(" "),)]:
        with pytest.raises(Refusal, match="nothing to learn") as refused:
            full(*messages)
        assert refused.value.reason == "nothing supervised"


def test_what_is_too_long_loses_whole_stretches_with_their_pictures() -> None:
    stretches = [document(image(str(i)), f" sentence number {i}.") for i in range(4)]
    whole = full(*stretches)
    layout = plan(Conversation(tuple(stretches)), TEMPLATE, lambda _: 3, len(whole) - 1)
    assert layout.dropped == 1
    assert [str(span.medium) for span in layout.spans] == ["1", "2", "3"]
    assert text(TEMPLATE, layout.labels).startswith(" sentence number 1.")
    with pytest.raises(Refusal, match="do not fit"):
        plan(Conversation((document("hello " * 50),)), TEMPLATE, lambda _: 3, 20)


def test_what_loses_its_sense_without_its_beginning_is_refused_whatever_the_recipe_says() -> None:
    prompt, answer = document("Name a colour:", supervised=False), document(" red")
    length = len(full(prompt, answer))
    whole = Conversation((prompt, answer), whole=True)
    assert len(plan(whole, TEMPLATE, lambda _: 3, length)) == length
    with pytest.raises(Refusal, match=f"{length} tokens do not fit into {length - 1}$"):
        plan(whole, TEMPLATE, lambda _: 3, length - 1)


parts = st.one_of(st.text(st.characters(codec="ascii"), max_size=8), st.integers(0, 9).map(lambda i: image(str(i))))
stretch = st.builds(
    lambda parts, supervised: document(*parts, supervised=supervised), st.lists(parts, max_size=4), st.booleans()
)


@settings(max_examples=60, deadline=None)
@given(st.lists(stretch, min_size=1, max_size=4))
def test_any_document_says_what_it_holds_and_labels_what_it_may(messages: list[Message]) -> None:
    layout = full(*messages, reply=True)
    assert [span.medium for span in layout.spans] == [medium for message in messages for medium in message.media]
    media = {i for span in layout.spans for i in range(span.start, span.start + span.length)}
    said = [token for i, token in enumerate(layout.ids) if i not in media]
    assert TEMPLATE.tokenizer.decode(said[1:]) == "".join(message.text for message in messages)
    try:
        labelled = full(*messages)
    except Refusal:
        return
    expected = "".join(message.text for message in messages if message.supervised)
    assert text(TEMPLATE, labelled.labels) == expected + ("</s>" if messages[-1].supervised else "")
