"""Whether what was written reads conversations as the run does: both are asked, the folder by transformers' own code."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from PIL import Image as Pillow

from triptych.conversation import Conversation, Image, Message
from triptych.export.finished import Finished
from triptych.language.template_check import CONVERSATIONS, Disagreement, as_transformers_has_it
from triptych.language.template_encode import special_tokens
from triptych.language.template_render import render
from triptych.model.composed import MultimodalModel
from triptych.sequence.plan import Refusal

GREY = Pillow.new("RGB", (40, 30), (128, 128, 128))


@dataclass(frozen=True)
class Reads:
    """How an exported folder reads prompts.

    Args:
        image: The id that stands for pictures; None where it takes none.
        read: Messages and their pictures → ids, one row for each way that transformers documents.
        decode: Ids → text.
    """

    image: int | None
    read: Callable[[Sequence[Message], Sequence[Any]], list[tuple[int, ...]]]
    decode: Callable[[Sequence[int]], str]


def tokenizer_at(folder: Path, image: str | None = None) -> Reads:
    """Of a folder whose tokenizer writes conversations.

    Args:
        folder: Where it is.
        image: The token that its template writes at all positions of pictures; None where it takes none.
    """
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(folder, local_files_only=True, trust_remote_code=False)
    token = None if image is None else int(tokenizer.convert_tokens_to_ids(image))
    return Reads(token, lambda messages, _: [tokenizer_reads(tokenizer, messages)], tokenizer.decode)


def processor_at(folder: Path) -> Reads:
    """Of a folder with a processor that writes chats."""
    from transformers import AutoProcessor

    processor = AutoProcessor.from_pretrained(folder, local_files_only=True, trust_remote_code=False)
    image = int(processor.tokenizer.convert_tokens_to_ids(processor.image_token))
    return Reads(
        image, lambda messages, pictures: processor_reads(processor, messages, pictures), processor.tokenizer.decode
    )


def tokenizer_reads(tokenizer: Any, messages: Sequence[Message]) -> tuple[int, ...]:
    """The ids of a prompt, by `tokenizer.apply_chat_template`.

    Raises:
        TemplateRefusal: The template exceeds its bounds.
    """
    said = as_transformers_has_it(messages)
    _within_bounds(tokenizer.chat_template, tokenizer, said)
    return _row(
        tokenizer.apply_chat_template(said, add_generation_prompt=True, tokenize=True, return_dict=True)["input_ids"]
    )


def processor_reads(processor: Any, messages: Sequence[Message], pictures: Sequence[Any]) -> list[tuple[int, ...]]:
    """The ids of a prompt, by `processor.apply_chat_template` alone, and by it and the processor's call.

    Args:
        processor: Of a model that takes pictures.
        messages: The prompt.
        pictures: What its media show, as Pillow has it.

    Raises:
        TemplateRefusal: The template exceeds its bounds.
    """
    messages_as_parts = as_transformers_has_it(messages)
    _within_bounds(processor.chat_template, processor.tokenizer, messages_as_parts)
    text = processor.apply_chat_template(messages_as_parts, add_generation_prompt=True)
    called = processor(text=text, images=list(pictures) or None)["input_ids"]
    remaining = iter(pictures)
    for message in messages_as_parts:
        if isinstance(message["content"], list):
            for part in message["content"]:
                if part["type"] == "image":
                    part["image"] = next(remaining)
    alone = processor.apply_chat_template(messages_as_parts, add_generation_prompt=True, tokenize=True)
    return [_row(called), _row(alone)]


def _within_bounds(template: str, tokenizer: Any, messages: list[dict[str, Any]]) -> None:
    """Render what transformers is about to render, where bounds hold: transformers has none. Raises TemplateRefusal."""
    opened = [
        {**m, "content": [{**part, "image": "<Image>"} if part["type"] == "image" else part for part in m["content"]]}
        if isinstance(m["content"], list)
        else m
        for m in messages
    ]
    for said in (messages, opened):
        variables = {**special_tokens(tokenizer), "messages": said, "tools": None, "documents": None}
        render(template, {**variables, "add_generation_prompt": True})


def _row(ids: Any) -> tuple[int, ...]:
    """A batch of one, or its only row, as a tuple."""
    row = ids.tolist() if hasattr(ids, "tolist") else ids
    return tuple(row[0] if row and isinstance(row[0], list) else row)


def disagreement(run: Finished, folder: Reads) -> Disagreement | None:
    """The first conversation of which a run and its exported folder make different prompts.

    Args:
        run: A composed one.
        folder: What was written.
    """
    assert isinstance(run.model, MultimodalModel)
    takes_pictures = folder.image is not None and "image" in run.model.encoders
    for name, messages in CONVERSATIONS.items():
        shown = [
            Message(message.role, tuple(Image(GREY) if isinstance(part, Image) else part for part in message.parts))
            for message in messages
        ]
        pictures = [GREY for message in shown for _ in message.media]
        if pictures and not takes_pictures:
            continue
        try:
            layout = run.model.plan(Conversation.of(shown), reply=True)
        except Refusal:
            continue
        ids = list(layout.ids)
        for span in layout.spans:
            ids[span.start : span.start + span.length] = [folder.image or 0] * span.length
        try:
            rows = folder.read(shown, pictures)
        except Exception as error:  # whatever transformers raises, it reads no such prompt
            return Disagreement(name, tuple(ids), (), f"in transformers, which refuses it ({error})")
        for row in rows:
            if row != tuple(ids):
                return Disagreement(name, tuple(ids), row, "in what was written")
    return None
