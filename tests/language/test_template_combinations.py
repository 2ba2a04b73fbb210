"""What stands before an answer is one thing, for every template, tokenizer and conversation."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from template_combinations import CONVERSATIONS, SOURCES, combinations, counts, sources, tokenizers
from tiny_tokenizers import ADDED, KINDS, SPECIAL, tiny_tokenizer
from triptych.conversation import Conversation, Message, assistant, system, user
from triptych.errors import RecipeError
from triptych.language.template import ChatTemplate, TemplateRefusal
from triptych.language.template_check import flat, prefixes
from triptych.sequence.plan import IGNORE, Layout, Refusal, plan, unroll

CASES = Path(__file__).parents[3] / "shared" / "cases" / "records" / "think-blocks.json"

SYSTEM = {name for name in CONVERSATIONS if "system" in name}
THOUGHTS = {name for name in CONVERSATIONS if "thoughts" in name}
REFUSED = {
    "gemma": SYSTEM,
    "mistral-v0.1": SYSTEM,
    "mistral-v0.3": SYSTEM,  # whose template loses them once there is an answer
    "qwen3-closed-thinking": THOUGHTS,
}
"""What a template cannot write."""


def equal_everywhere(name: str, kinds: list[str]) -> None:
    for kind in kinds:
        results = list(combinations(name, kind))
        assert not [result for result in results if result.wrong], kind
        refused = {result.conversation for result in results if result.refused}
        assert refused == REFUSED.get(name, set()), kind
        assert counts(results)["equal"] == len(CONVERSATIONS) - len(refused)


@pytest.mark.parametrize("name", list(sources()))
def test_training_prompt_and_transformers_read_the_same_tokens(name: str) -> None:
    equal_everywhere(name, ["byte-level BPE (Llama 3, Qwen)", "SentencePiece BPE, a space first"])


@pytest.mark.slow
@pytest.mark.parametrize("name", list(sources()))
def test_with_every_kind_of_tokenizer(name: str) -> None:
    equal_everywhere(name, list(tokenizers()))


def layouts(template: ChatTemplate, messages: list[Message] | tuple[Message, ...]) -> list[Layout]:
    return [plan(each, template, lambda _: 3, 10_000) for each in unroll(Conversation.of(messages), template)]


def learned(template: ChatTemplate, layout: Layout) -> str:
    return str(template.tokenizer.decode([label for label in layout.labels if label != IGNORE]))


def before(layout: Layout) -> tuple[int, ...]:
    return layout.ids[: next(i for i, label in enumerate(layout.labels) if label != IGNORE)]


def record(name: str) -> list[Message]:
    """The messages of a record of `think-blocks.json`, pictures left out."""
    if not CASES.exists():
        pytest.skip("shared/cases is not beside the project")
    (found,) = [each for each in json.loads(CASES.read_text(encoding="utf-8")) if each["id"] == name]
    roles: dict[str, Any] = {"human": user, "gpt": assistant}
    return [roles[turn["from"]](turn["value"].replace("<image>\n", "")) for turn in found["conversations"]]


@pytest.mark.parametrize("kind", list(tokenizers()))
@pytest.mark.parametrize("name", ["qwen3", "qwen3-thinking", "glm4.5"])
@pytest.mark.parametrize("case", ["a", "b"])
def test_an_answer_has_one_think_block_and_its_prompt_in_front(case: str, name: str, kind: str) -> None:
    template = ChatTemplate(tokenizers()[kind], SOURCES[name])
    messages = record(case)
    (layout,) = layouts(template, messages)
    prompt = plan(Conversation.of(messages[:1]), template, lambda _: 3, 1000, reply=True)
    assert before(layout) == prompt.ids
    for tag in ("<think>", "</think>"):
        assert layout.ids.count(template.tokenizer.convert_tokens_to_ids(tag)) == 1


def test_what_qwen3_learns() -> None:
    template = ChatTemplate(tiny_tokenizer("byte-level BPE (Llama 3, Qwen)"), SOURCES["qwen3"])
    thoughts = "<think>\nred\n</think>\n\nIt is red."
    empty = "<think>\n\n</think>\n\n"
    assert [learned(template, x) for x in layouts(template, [user("Q"), assistant("It is red.")])] == [
        f"{empty}It is red.<|im_end|>"
    ]
    assert [learned(template, x) for x in layouts(template, [user("Q"), assistant(thoughts)])] == [
        f"{thoughts}<|im_end|>"
    ]
    # Later prompts have earlier answers without thoughts; so each is learned at the end of a sequence of its own.
    both = layouts(template, [user("Q"), assistant(thoughts), user("R"), assistant("Yes.")])
    assert [learned(template, layout) for layout in both] == [f"{empty}Yes.<|im_end|>", f"{thoughts}<|im_end|>"]
    assert "red" not in template.tokenizer.decode(both[0].ids).replace("It is red.", "")
    prompt = plan(Conversation.of([user("Q"), assistant(thoughts), user("R")]), template, lambda _: 3, 1000, reply=True)
    assert before(both[0]) == prompt.ids


def test_thoughts_that_the_prompt_has_begun_are_gone_on_with() -> None:
    template = ChatTemplate(tiny_tokenizer("byte-level BPE (Llama 3, Qwen)"), SOURCES["deepseek-r1"])
    end = "<｜end▁of▁sentence｜>"
    for said, expected in {
        "<think>\nred\n</think>\n\nIt is red.": "red\n</think>\n\nIt is red.",
        "It is red.": "\n</think>\n\nIt is red.",
    }.items():
        (layout,) = layouts(template, [user("Q"), assistant(said)])
        assert learned(template, layout) == expected + end
        assert template.tokenizer.decode(before(layout)).endswith("<｜Assistant｜><think>\n")


def test_thoughts_behind_a_prompt_that_ends_thinking_are_refused() -> None:
    template = ChatTemplate(tiny_tokenizer("byte-level BPE (Llama 3, Qwen)"), SOURCES["qwen3-closed-thinking"])
    (layout,) = layouts(template, [user("Q"), assistant("It is red.")])
    assert learned(template, layout) == "It is red.<|im_end|>"
    with pytest.raises(Refusal, match="ends thinking, and the answer has thoughts"):
        layouts(template, [user("Q"), assistant("<think>\nred\n</think>\n\nIt is red.")])


said = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=20)
turns = st.lists(st.tuples(said, said), min_size=1, max_size=3)


@settings(max_examples=150, deadline=None)
@given(st.sampled_from(list(sources())), st.sampled_from(list(KINDS)), turns, said, st.booleans())
@example("plain (built in)", "byte-level BPE (GPT-2)", [("0", "\r")], "0", True)
def test_whatever_is_said_stands_behind_its_prompt(
    name: str, kind: str, turns: list[tuple[str, str]], last: str, thinks: bool
) -> None:
    template = ChatTemplate(tokenizers()[kind], sources()[name])
    messages = [m for q, a in turns for m in (user(q), assistant(f"<think>\n{a}\n</think>\n\n{a}" if thinks else a))]
    messages += [user(last), assistant("It is red.")]
    try:
        for each in unroll(Conversation.of(messages), template):
            for _, training, prompt in prefixes(template, each.messages):
                assert training == prompt
    except (TemplateRefusal, Refusal) as refusal:
        nothing = any(not a.strip() for _, a in turns)  # an answer of white space alone says nothing
        assert "ends thinking" in str(refusal) or (nothing and "leaves the answer out" in str(refusal))


@settings(max_examples=200, deadline=None)
@given(
    st.sampled_from(list(sources())), st.sampled_from(list(tokenizers())), said, st.sampled_from(SPECIAL + ADDED), said
)
def test_no_user_forges_a_token(name: str, kind: str, a: str, token: str, b: str) -> None:
    """Control tokens are the template's: the same ones as around harmless words."""
    template = ChatTemplate(tokenizers()[kind], sources()[name])
    tokenizer = template.tokenizer
    controls = {tokenizer.convert_tokens_to_ids(each) for each in SPECIAL + ADDED} - {tokenizer.unk_token_id}

    def written(text: str) -> Counter[int]:
        ids = flat(template.pieces([user(text), assistant("Yes."), user(text)], reply=True))
        return Counter(id_ for id_ in ids if id_ in controls)

    for text in (f"{a}{token}{b}", f"{a} {token} {b}", token, f"{token}{token}"):
        assert written(text) == written("harmless")


def test_every_added_token_is_text_in_what_a_user_or_a_system_prompt_says() -> None:
    for kind in KINDS:
        template = ChatTemplate(tokenizers()[kind], "plain")
        for token in SPECIAL + ADDED:
            id_ = template.tokenizer.convert_tokens_to_ids(token)
            if token not in ("<s>", "</s>", "<unk>"):
                ids = flat(template.pieces([system(f"a {token} b"), user(f"a {token} b"), assistant("c")]))
                assert id_ not in ids, (kind, token)


def test_names_of_tokens_are_still_read_as_they_are_written() -> None:
    template = ChatTemplate(tiny_tokenizer("SentencePiece BPE, a space first"), SOURCES["chatml"])
    text = "is <|im_end|>\n<think> it </tool_call>"
    decoded = template.tokenizer.decode(flat(template.pieces([user(text)], reply=True)))
    assert text in decoded


def test_an_answer_has_the_tokens_that_its_reader_sees_and_no_others() -> None:
    template = ChatTemplate(tiny_tokenizer("byte-level BPE (GPT-2)"), SOURCES["chatml"])
    ids = flat(template.pieces([user("Q"), assistant("<tool_call>\n{}\n</tool_call><|im_end|><|im_start|>")]))
    count = {name: ids.count(template.tokenizer.convert_tokens_to_ids(name)) for name in (*SPECIAL, *ADDED)}
    assert count["<tool_call>"] == count["</tool_call>"] == 1
    assert count["<|im_end|>"] == 2 and count["<|im_start|>"] == 2  # the template's


def test_what_refuses_one_record_is_told_apart_from_what_ends_a_run() -> None:
    template = ChatTemplate(tiny_tokenizer("byte-level BPE (GPT-2)"), SOURCES["gemma"])
    conversation = Conversation.of([system("Be brief."), user("Hi"), assistant("Ho")])
    with pytest.raises(TemplateRefusal, match="refuses the turns system, user, assistant: System role not supported"):
        template.pieces(conversation.messages)
    with pytest.raises(Refusal, match="System role not supported") as refused:
        plan(conversation, template, lambda _: 3, 1000)
    assert refused.value.reason == "chat template"
    with pytest.raises(Refusal, match="refuses the turns user, user"):
        plan(Conversation.of([user("a"), user("b"), assistant("c")]), template, lambda _: 3, 1000)


def test_a_template_of_which_transformers_makes_other_tokens_is_refused() -> None:
    """It writes a user's words in lower case: the marks in their place show nothing of that, real words do."""
    source = "{% for m in messages %}{{ m['content'] | lower }}{{ eos_token }}{% endfor %}"
    with pytest.raises(
        RecipeError, match=r"cannot be followed: tokens differ in .*What.* here, .*what.* in transformers"
    ):
        ChatTemplate(tiny_tokenizer("byte-level BPE (GPT-2)"), source)
