"""Chat templates in foreign folders: an export reads as the run does, an import as its folder does; or neither is made.

run ──► ids ┐                                          folder's template ──► ids ┐
            ├ equal, or the export is refused                                    ├ equal, or the import is refused
what was written, by transformers ──► ids ┘            ours, made of it  ──► ids ┘
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from PIL import Image as Pillow

from triptych.conversation import Conversation, Image, Message
from triptych.errors import RecipeError
from triptych.interchange.errors import ImportFailed
from triptych.interchange.finished import Finished
from triptych.language.hub_templates import from_transformers, of_parts
from triptych.language.template import ChatTemplate, TemplateRefusal
from triptych.language.template_check import CONVERSATIONS, Disagreement, as_transformers_has_it, flat
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
    written = as_transformers_has_it(messages)
    _within_bounds(tokenizer.chat_template, tokenizer, written)
    return _row(
        tokenizer.apply_chat_template(written, add_generation_prompt=True, tokenize=True, return_dict=True)["input_ids"]
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
    for variant in (messages, opened):
        _rendered(template, tokenizer, variant)


def _rendered(template: str, tokenizer: Any, messages: list[dict[str, Any]]) -> str:
    """A prompt as text, within bounds."""
    variables = {**special_tokens(tokenizer), "messages": messages, "tools": None, "documents": None}
    return render(template, {**variables, "add_generation_prompt": True})


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


def template_of(folder: Path, tokenizer: Any, usual: str | None) -> tuple[str | None, str | None, list[str]]:
    """The recipe's `chat_template`, its `system`, and notes.

    A folder that Triptych exported has its own template back. Others have theirs, as processors call it (with the parts of
    messages) or as tokenizers do (with texts that have the token of a picture in them), whichever makes the tokens that
    transformers makes. A folder without one has the system's usual one.

    Raises:
        ImportFailed: The folder's template cannot be followed.
    """
    path = folder / "chat_template.jinja"
    source = path.read_text(encoding="utf-8") if path.is_file() else getattr(tokenizer, "chat_template", None)
    if not source:
        note = f"chat template: {usual or 'plain'}; set model.language.chat_template where it was trained with another"
        return usual or "plain", None, [note]
    if (own := from_transformers(source)) is not None:
        return own[0], own[1], []
    image = _image_token(folder, tokenizer)
    reasons = []
    for parts in (True, False):
        template = of_parts(source, image or "<image>") if parts else source
        try:
            difference = _difference(ChatTemplate(tokenizer, template), source, image, parts)
        except RecipeError as error:
            reasons.append(str(error))
            continue
        if difference is None:
            return template, None, []
        reasons.append(f"tokens differ in {difference.told(tokenizer.decode)}")
    raise ImportFailed(
        f"its chat template cannot be followed ({reasons[-1]}); without its chat_template.jinja it is asked by {usual or 'plain'!r}"
    )


def _image_token(folder: Path, tokenizer: Any) -> str | None:
    """The name of the token that stands for pictures."""
    config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    id_ = config.get("image_token_id", config.get("image_token_index"))
    name = tokenizer.convert_ids_to_tokens(id_) if isinstance(id_, int) and 0 <= id_ < len(tokenizer) else None
    return name if isinstance(name, str) else None


def _difference(ours: ChatTemplate, source: str, image: str | None, parts: bool) -> Disagreement | None:
    """The first prompt of which our template and the folder's make different tokens.

    Raises:
        TemplateRefusal: Ours refuses what theirs does not, or theirs refuses everything.
    """
    tokenizer = ours.tokenizer
    medium = () if image is None else (int(tokenizer.convert_tokens_to_ids(image)),)
    compared, refusal = 0, TemplateRefusal("it refuses every conversation")
    for name, messages in CONVERSATIONS.items():
        if image is None and any(message.media for message in messages):
            continue
        given = [{"role": message.role, "content": _content(message, parts, image or "")} for message in messages]
        try:
            text = _rendered(source, tokenizer, given)
        except TemplateRefusal as error:
            refusal = error
            continue
        theirs = tuple(tokenizer(text, add_special_tokens=False)["input_ids"])
        prompt = flat(ours.pieces(messages, reply=True), medium)
        if prompt != theirs:
            return Disagreement(name, prompt, theirs, "in transformers")
        compared += 1
    if not compared:
        raise refusal
    return None


def _content(message: Message, parts: bool, image: str) -> str | list[dict[str, str]]:
    """What a message says: as parts, or as one text with the token of a picture in it."""
    if not parts:
        return "".join(image if isinstance(part, Image) else str(part) for part in message.parts)
    return [
        {"type": "image"} if isinstance(part, Image) else {"type": "text", "text": str(part)} for part in message.parts
    ]
