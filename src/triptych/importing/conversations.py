"""The chat template of a foreign folder, as a run of ours follows it: the same tokens as transformers makes, or none."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from triptych.conversation import Image, Message
from triptych.errors import RecipeError
from triptych.importing.parts import ImportFailed
from triptych.language.hub_templates import from_transformers, of_parts
from triptych.language.template import ChatTemplate, TemplateRefusal
from triptych.language.template_check import CONVERSATIONS, Disagreement, flat
from triptych.language.template_encode import special_tokens
from triptych.language.template_render import render


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
    special = special_tokens(tokenizer)
    medium = () if image is None else (int(tokenizer.convert_tokens_to_ids(image)),)
    compared, refusal = 0, TemplateRefusal("it refuses every conversation")
    for name, messages in CONVERSATIONS.items():
        if image is None and any(message.media for message in messages):
            continue
        said = [{"role": message.role, "content": _content(message, parts, image or "")} for message in messages]
        variables = {**special, "messages": said, "tools": None, "documents": None, "add_generation_prompt": True}
        try:
            text = render(source, variables)
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
