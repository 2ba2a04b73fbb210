"""Named templates write what the published systems read, to the letter."""

from __future__ import annotations

import pytest
from tokenizers import Tokenizer, decoders, models, pre_tokenizers
from transformers import PreTrainedTokenizerFast

from tiny_world import tokenizer
from triptych.conversation import Conversation, Image, Message, assistant, system, user
from triptych.errors import RecipeError
from triptych.language.template import ChatTemplate
from triptych.language.templates import TEMPLATES, resolve
from triptych.recipe import parse_recipe
from triptych.sequence.plan import IGNORE, Layout, plan

PICTURE = Image(b"picture")
TURNS = [user(PICTURE, "What?"), assistant("A cat."), user("Sure?"), assistant("Yes.")]


def layout(name: str, messages: list[Message], reply: bool = False) -> tuple[ChatTemplate, Layout]:
    template = ChatTemplate(tokenizer(None, "</s>", "<s>"), name)
    return template, plan(Conversation.of(messages), template, lambda _: 1, 1000, placeholder=7, reply=reply)


def written(name: str, messages: list[Message], reply: bool = False) -> str:
    """The sequence as text, the picture as ▣."""
    template, planned = layout(name, messages, reply)
    places = {span.start for span in planned.spans}
    return "".join("▣" if i in places else template.tokenizer.decode([token]) for i, token in enumerate(planned.ids))


def learned(name: str, messages: list[Message]) -> str:
    template, planned = layout(name, messages)
    return str(template.tokenizer.decode([label for label in planned.labels if label != IGNORE]))


@pytest.mark.parametrize(
    ("name", "expected", "supervised"),
    [
        ("llava-v1", "<s>USER: ▣\nWhat? ASSISTANT: A cat.</s>USER: Sure? ASSISTANT: Yes.</s>", "A cat.</s>Yes.</s>"),
        ("vicuna", "<s>USER: ▣What? ASSISTANT: A cat.</s>USER: Sure? ASSISTANT: Yes.</s>", "A cat.</s>Yes.</s>"),
        ("llava-plain", "<s>▣A cat.\nYes.\n", "A cat.\nYes.\n"),
        ("minigpt4-captions", "<s>▣A cat.\nYes.\n", "A cat.\nYes.\n"),
        (
            "minigpt4",
            "<s>###Human: <Img>▣</Img> What? ###Assistant: A cat.###Human: Sure? ###Assistant: Yes.###",
            "A cat.###Yes.###",
        ),
        (
            "minigpt4-v2",
            "<s>[INST] <Img>▣</Img> What? [/INST] A cat.</s>[INST] Sure? [/INST] Yes.</s>",
            "A cat.</s>Yes.</s>",
        ),
        (
            "flamingo",
            "<s>▣Question:What? Short answer:A cat.</s>Question:Sure? Short answer:Yes.</s>",
            "A cat.</s>Yes.</s>",
        ),
        ("flamingo-captions", "<s>▣Output:A cat.</s>Output:Yes.</s>", "A cat.</s>Yes.</s>"),
        ("plain", "<s>User: ▣What?\nAssistant: A cat.</s>\nUser: Sure?\nAssistant: Yes.</s>\n", "A cat.</s>Yes.</s>"),
    ],
)
def test_the_published_forms(name: str, expected: str, supervised: str) -> None:
    assert written(name, TURNS) == expected
    assert learned(name, TURNS) == supervised


def test_alpacas_prompt_is_that_of_its_training_script() -> None:
    from triptych.data.alpaca import WITHOUT_INPUT

    said = [user("Name a colour."), assistant("Red.")]
    assert written("alpaca", said) == "<s>" + WITHOUT_INPUT.format(instruction="Name a colour.") + "Red.</s>"


@pytest.mark.parametrize("name", TEMPLATES)
def test_a_prompt_is_the_beginning_of_what_was_learned(name: str) -> None:
    if name == "lines":
        pytest.skip("for tokenizers with <|im_end|> as their end of turn")
    prompt = written(name, TURNS[:1], reply=True)
    assert written(name, TURNS[:2]).startswith(prompt)


@pytest.mark.parametrize("name", ["llava-plain", "flamingo-captions"])
def test_words_that_are_left_out_on_purpose_leave_no_trace(name: str) -> None:
    assert written(name, [system("Be brief."), *TURNS]) == written(name, TURNS)


def test_an_answer_cannot_be_left_out() -> None:
    source = "{% for m in messages %}{{ m['media'] }}{% endfor %}"
    with pytest.raises(RecipeError, match="drops, repeats or reorders"):
        ChatTemplate(tokenizer(None, "</s>", "<s>"), source).pieces(TURNS)


def test_a_picture_cannot_be_left_out() -> None:
    source = "{% for m in messages %}{{ m['text'] }}</s>{% endfor %}"
    template = ChatTemplate(tokenizer(None, "</s>", "<s>"), source)
    template.pieces([user("Hi"), assistant("Ho")])
    with pytest.raises(RecipeError, match="drops, repeats or reorders"):
        template.pieces(TURNS)


def test_an_unknown_name_is_answered_with_the_nearest_in_the_recipe() -> None:
    with pytest.raises(ValueError, match="did you mean 'vicuna'"):
        resolve("vicunna")
    values = {"name": "x", "model": {"language": {"weights": "hf:a/b", "chat_template": "lava-v1"}}}
    with pytest.raises(RecipeError, match=r"model\.language\.chat_template.*did you mean 'llava-v1'"):
        parse_recipe(values)


def sentencepiece() -> PreTrainedTokenizerFast:
    """A tokenizer that puts a space in front of every text, as LLaMA's does; a word is a token."""
    words = ["<s>", "</s>", "<unk>", "▁USER:", "▁What", "▁is", "▁it?", "▁ASSISTANT:", "▁A", "▁cat.", "▁", "▁a"]
    made = Tokenizer(models.WordLevel({word: i for i, word in enumerate(words)}, unk_token="<unk>"))
    made.pre_tokenizer = pre_tokenizers.Metaspace(replacement="▁", prepend_scheme="always")
    made.decoder = decoders.Metaspace(replacement="▁", prepend_scheme="always")
    return PreTrainedTokenizerFast(tokenizer_object=made, bos_token="<s>", eos_token="</s>", unk_token="<unk>")


def test_a_tokenizer_that_adds_spaces_reads_the_whole_text_alike() -> None:
    """Written piece by piece, the sequence has the tokens that the whole text has: no space is doubled."""
    made = sentencepiece()
    template = ChatTemplate(made, "vicuna")
    planned = plan(Conversation.of([user("What is it?"), assistant("A cat.")]), template, lambda _: 1, 100)
    whole = made("USER: What is it? ASSISTANT: A cat.", add_special_tokens=False)["input_ids"]
    assert list(planned.ids) == [made.bos_token_id, *whole, made.eos_token_id]
    assert [label for label in planned.labels if label != IGNORE] == [*whole[-2:], made.eos_token_id]
