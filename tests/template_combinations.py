"""Every template with every tokenizer and conversation: training, prompt and transformers read the same tokens.

Transformers' side is its own code: the exported tokenizer in a `LlavaProcessor`, `apply_chat_template`, and the processor's
own reading of text and pictures.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from PIL import Image as Pillow
from transformers import LlavaProcessor
from transformers.models.clip.image_processing_pil_clip import CLIPImageProcessorPil

from tiny_tokenizers import KINDS, tiny_tokenizer
from triptych.conversation import Image, Message, assistant, system, user
from triptych.errors import RecipeError
from triptych.interchange.chat import processor_reads
from triptych.interchange.language import exported_tokenizer, image_token_for
from triptych.language.template import ChatTemplate, TemplateRefusal
from triptych.language.template_check import flat, prefixes
from triptych.language.templates import TEMPLATES

SOURCES = {
    path.stem: path.read_text(encoding="utf-8")
    for path in sorted((Path(__file__).parent / "chat_templates").glob("*.jinja"))
}
"""Templates of checkpoints on the hub, written again from what is known of them."""

RED = Pillow.new("RGB", (28, 28), (220, 30, 30))
PICTURE = Image(RED)
_THOUGHTS = "<think>\nIs it red? I think so.\n</think>\n\nIt is red."

CONVERSATIONS: dict[str, tuple[Message, ...]] = {
    "text only": (user("What colour is this?"), assistant("It is red.")),
    "picture": (user(PICTURE, "What colour is this?"), assistant("It is red.")),
    "two pictures": (user(PICTURE, "\nLook:", PICTURE, "Who? "), assistant("A cat.")),
    "follow-up": (user(PICTURE, "What is it?"), assistant("A big red bus."), user("Sure?"), assistant("(B)"), user("12?"), assistant("Yes, 12.")),
    "thoughts": (user(PICTURE, "What is it?"), assistant(_THOUGHTS)),
    "thoughts, follow-up": (user("What is it?"), assistant(_THOUGHTS), user("Sure?"), assistant(_THOUGHTS)),
    "thoughts in the middle": (user("What is it?"), assistant(_THOUGHTS), user("Sure?"), assistant("Yes.")),
    "system prompt": (system("Be brief."), user(PICTURE, "What is it?"), assistant("A bus."), user("Sure?"), assistant("Yes.")),
    "system command": (system("Be brief. /no_think"), user("What is it?"), assistant("A bus.")),
    "white space": (user("  What\n\n  is it? \n"), assistant("A bus.\n\nA cat."), user("\n\nSure?"), assistant("1. A\n2. B")),
}  # fmt: skip


@dataclass(frozen=True)
class Combination:
    """What came of one template, tokenizer and conversation.

    Args:
        template: Its name.
        tokenizer: Its kind.
        conversation: Its name.
        refused: Why it was refused; None where it was not.
        answers: How many answers there are.
        learned: How many of them training learns.
        wrong: The first difference in words; None where everything is equal.
    """

    template: str
    tokenizer: str
    conversation: str
    refused: str | None = None
    answers: int = 0
    learned: int = 0
    wrong: str | None = None


@cache
def tokenizers() -> dict[str, Any]:
    """All kinds, and one whose control tokens take white space away."""
    made = {kind: tiny_tokenizer(kind) for kind in KINDS}
    return {
        **made,
        "SentencePiece BPE, tokens that strip (Phi-3)": tiny_tokenizer("SentencePiece BPE, a space always", True),
    }


def sources() -> dict[str, str]:
    """Names of all templates, and what a recipe would say."""
    return {**{f"{name} (built in)": name for name in TEMPLATES}, **SOURCES}


def combinations(template: str, kind: str) -> Iterator[Combination]:
    """All conversations with one template and tokenizer."""
    tokenizer = tokenizers()[kind]
    try:
        ours = ChatTemplate(tokenizer, sources()[template])
    except RecipeError as error:
        yield from (Combination(template, kind, name, refused=str(error)) for name in CONVERSATIONS)
        return
    image_token = image_token_for(ours)
    exported = exported_tokenizer(ours, image_token)
    processor = LlavaProcessor(
        CLIPImageProcessorPil(size={"height": 28, "width": 28}, crop_size={"height": 28, "width": 28}),
        exported,
        patch_size=14,
        vision_feature_select_strategy="full",
        image_token=image_token,
        chat_template=exported.chat_template,
    )
    for name, messages in CONVERSATIONS.items():
        try:
            yield _one(template, kind, name, messages, ours, processor)
        except TemplateRefusal as error:
            yield Combination(template, kind, name, refused=str(error))


def _one(
    template: str, kind: str, name: str, messages: Sequence[Message], ours: ChatTemplate, processor: Any
) -> Combination:
    image = int(processor.tokenizer.convert_tokens_to_ids(processor.image_token))
    answers = [number for number, message in enumerate(messages) if message.role == "assistant"]
    wrong: list[str] = []
    learned = list(prefixes(ours, messages))
    for _, before, prompt in learned:
        if before != prompt:
            wrong.append(f"training {before}, prompt {prompt}")
    for number in answers:
        prompt = flat(ours.pieces(messages[:number], reply=True), (image,) * 4)
        pictures = [RED for message in messages[:number] for _ in message.media]
        wrong += [
            f"prompt {ours.tokenizer.decode(prompt)!r}, transformers {ours.tokenizer.decode(ids)!r}"
            for ids in processor_reads(processor, messages[:number], pictures)
            if ids != prompt
        ]
    return Combination(template, kind, name, None, len(answers), len(learned), wrong[0] if wrong else None)


def counts(results: Sequence[Combination]) -> Counter[str]:
    """How many were equal, refused and different."""
    return Counter("refused" if r.refused else "different" if r.wrong else "equal" for r in results)
