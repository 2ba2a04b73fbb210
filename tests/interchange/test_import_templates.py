"""A foreign folder's chat template makes the tokens that transformers makes, or the import says that it cannot be followed."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import transformers
from PIL import Image as Pillow

from parity.tiny.systems import saved
from tiny_world import World
from triptych import Image, load
from triptych.conversation import Conversation, Message, assistant, system, user
from triptych.interchange.chat import processor_reads
from triptych.interchange.errors import ImportFailed
from triptych.interchange.exporting import export
from triptych.interchange.importing import import_model
from triptych.language.template_check import as_transformers_has_it

pytestmark = pytest.mark.usefixtures("tiny_cache")

LLAVA_HF = (
    "{% for message in messages %}{% if message['role'] != 'system' %}{{ message['role'].upper() + ': '}}{% endif %}"
    "{% for content in message['content'] | selectattr('type', 'equalto', 'image') %}{{ '<image>\n' }}{% endfor %}"
    "{% if message['role'] != 'assistant' %}"
    "{% for content in message['content'] | selectattr('type', 'equalto', 'text') %}{{ content['text'] + ' '}}{% endfor %}"
    "{% else %}{% for content in message['content'] | selectattr('type', 'equalto', 'text') %}"
    "{% generation %}{{ content['text'] + ' '}}{% endgeneration %}{% endfor %}{% endif %}"
    "{% endfor %}{% if add_generation_prompt %}{{ 'ASSISTANT:' }}{% endif %}"
)
BRANCHES = (
    "{% for m in messages %}<|im_start|>{{ m['role'] }}\n{% if m['content'] is string %}{{ m['content'] }}{% else %}"
    "{% for part in m['content'] %}{% if part['type'] == 'image' %}[IMG]<image>[/IMG]\n{% else %}{{ part['text'] | trim }}"
    "{% endif %}{% endfor %}{% endif %}<|im_end|>\n{% endfor %}{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)
TEXTS = "{% for m in messages %}{{ m['role'] + ': ' + m['content'] + eos_token }}{% endfor %}{% if add_generation_prompt %}assistant:{% endif %}"
LOWER = "{% for m in messages %}{{ m['content'] | lower }}{{ eos_token }}{% endfor %}"


def folder_with(template: str, folder: Path) -> Path:
    saved("LLaVA", folder)
    made = transformers.AutoTokenizer.from_pretrained(folder)
    made.add_special_tokens({"additional_special_tokens": ["<image>"]}, replace_extra_special_tokens=False)
    made.chat_template = template
    made.save_pretrained(folder)
    config = transformers.AutoConfig.from_pretrained(folder)
    assert made.convert_tokens_to_ids("<image>") == config.image_token_index
    return folder


PICTURE = Pillow.new("RGB", (30, 20), (220, 30, 30))
CONVERSATIONS: list[list[Message]] = [
    [user("Who?")],
    [user(Image(PICTURE), " What is this? ")],
    [system("Be brief."), user("Look:", Image(PICTURE), "What is this?"), assistant("It is red."), user("Sure?")],
]


@pytest.mark.parametrize("template", [LLAVA_HF, BRANCHES], ids=["parts alone", "texts or parts"])
def test_a_template_of_parts_is_followed(template: str, world: World, tmp_path: Path) -> None:
    folder = folder_with(template, tmp_path / "theirs")
    done = import_model(str(folder), tmp_path / "run")
    assert not done.notes
    model = load(tmp_path / "run").model
    made = transformers.AutoTokenizer.from_pretrained(folder)
    image = int(made.convert_tokens_to_ids("<image>"))

    def parts(messages: list[dict[str, Any]]) -> list[dict[str, Any]]:
        return [
            {
                **m,
                "content": [{"type": "text", "text": m["content"]}] if isinstance(m["content"], str) else m["content"],
            }
            for m in messages
        ]

    for messages in CONVERSATIONS:
        text = made.apply_chat_template(
            parts(as_transformers_has_it(messages)), add_generation_prompt=True, tokenize=False
        )
        layout = model.plan(Conversation.of(messages), reply=True)
        ids = list(layout.ids)
        for span in reversed(layout.spans):
            ids[span.start : span.start + span.length] = [image]
        assert ids == made(text, add_special_tokens=False)["input_ids"]
    # Out again: the same tokens, from transformers' own processor.
    export(tmp_path / "run", "llava", tmp_path / "out")
    processor = transformers.AutoProcessor.from_pretrained(tmp_path / "out")
    for messages in CONVERSATIONS:
        layout = model.plan(Conversation.of(messages), reply=True)
        expected = list(layout.ids)
        for span in layout.spans:
            expected[span.start : span.start + span.length] = [image] * span.length
        for row in processor_reads(processor, messages, [PICTURE for m in messages for _ in m.media]):
            assert list(row) == expected
    assert import_model(str(tmp_path / "out"), tmp_path / "again").notes == ()
    again = load(tmp_path / "again").model
    for messages in CONVERSATIONS:
        assert (
            again.plan(Conversation.of(messages), reply=True).ids
            == model.plan(Conversation.of(messages), reply=True).ids
        )


def test_a_template_of_texts_is_followed(tmp_path: Path) -> None:
    assert not import_model(str(folder_with(TEXTS, tmp_path / "theirs")), tmp_path / "run").notes


def test_a_template_that_cannot_be_followed_is_said_in_one_line(tmp_path: Path) -> None:
    with pytest.raises(
        ImportFailed, match=r"chat template cannot be followed .*in transformers.*chat_template\.jinja"
    ) as failed:
        import_model(str(folder_with(LOWER, tmp_path / "theirs")), tmp_path / "run")
    assert "\n" not in str(failed.value) and not (tmp_path / "run").exists()
