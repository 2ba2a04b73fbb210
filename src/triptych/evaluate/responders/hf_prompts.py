"""Prompts as a processor of transformers expects them, found by trying it on a probe and not by its class.

Three things differ between processors: whether there is a chat template and where (processor or tokenizer), whether it
takes content in parts or as one text, and who writes the token that stands for a picture: the template, the prompt's
author, or the processor itself (BLIP-2, InstructBLIP, PaliGemma, Kosmos-2), where a second one would be wrong.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from PIL import Image

from triptych.conversation import Conversation, Message
from triptych.errors import GenerationError

PROCESSOR_ERRORS = (ValueError, TypeError, IndexError, KeyError, AttributeError, RuntimeError)
"""What processors and models raise about inputs that they do not take."""

_PROBE = "What is here"
_TEXT = {"type": "text", "text": _PROBE}


@dataclass(frozen=True)
class Prompt:
    """One conversation as text.

    Args:
        text: What the model reads.
        question: What the user said last, without pictures: what the Q-Former of an InstructBLIP reads.
    """

    text: str
    question: str


class Prompts:
    """Writes and encodes prompts for a processor.

    Args:
        processor: Of transformers; it has a `tokenizer`, and perhaps a chat template and an `image_token`.
    """

    def __init__(self, processor: Any) -> None:
        self.processor = processor
        self.tokenizer: Any = processor.tokenizer
        self.has_template = bool(getattr(processor, "chat_template", None) or self.tokenizer.chat_template)
        self.in_parts = self.has_template and self._takes_parts()
        self.template_places_pictures = self.in_parts and self._places_pictures()
        token = getattr(processor, "image_token", None) or getattr(self.tokenizer, "image_token", None)
        self.image_token = "" if token is None else str(token)
        self.added = self._added() if self.image_token else 0
        self.written = 0
        if self.image_token and self.template_places_pictures:
            self.written = self._render(_user({"type": "image"}, _TEXT)).count(self.image_token)

    def write(self, conversation: Conversation) -> Prompt:
        """The conversation as text, ready for an answer.

        Raises:
            GenerationError: The chat template refuses it.
        """
        messages = conversation.messages
        if not self.has_template:  # a base model
            text = "\n".join(self._text(message) for message in messages)
        elif self.template_places_pictures:
            text = self._render([{"role": m.role, "content": _parts(m)} for m in messages])
        elif self.in_parts:
            text = self._render([{"role": m.role, "content": [_text(self._text(m))]} for m in messages])
        else:
            text = self._render([{"role": m.role, "content": self._text(m)} for m in messages])
        if self.added and self.written and not self._template_writes_all:
            text = text.replace(self.image_token, "")  # the processor adds them itself
        return Prompt(text, messages[-1].text)

    def encode(self, prompts: list[Prompt], pictures: list[list[Any]] | None) -> Any:
        """The model's inputs for prompts that `write` wrote, with the pictures of each, padded to one length."""
        texts = [prompt.text for prompt in prompts]
        options: dict[str, Any] = {"return_tensors": "pt", "padding": True}
        if self.has_template and self._writes_specials(texts[0]):
            options["add_special_tokens"] = False
        if pictures is None or not self._template_writes_all:
            return self._process(texts, pictures, options)
        from transformers import BatchFeature

        inputs = BatchFeature(dict(self.tokenizer(texts, **options)))
        inputs.update(self.processor.image_processor(images=pictures, return_tensors="pt"))
        reader = getattr(self.processor, "qformer_tokenizer", None)
        if reader is not None:
            read = reader([prompt.question for prompt in prompts], return_tensors="pt", padding=True)
            inputs.update({f"qformer_{name}": read[name] for name in ("input_ids", "attention_mask")})
        return inputs

    def _process(self, texts: list[str], pictures: list[list[Any]] | None, options: dict[str, Any]) -> Any:
        try:
            return self.processor(text=texts, images=pictures, **options)
        except PROCESSOR_ERRORS:
            if pictures is None or any(len(shown) != 1 for shown in pictures):
                raise
            try:  # some take one picture for each text, and no lists of them
                return self.processor(text=texts, images=[picture for (picture,) in pictures], **options)
            except PROCESSOR_ERRORS:
                pass
            raise

    @property
    def _template_writes_all(self) -> bool:
        """Whether the template writes as many tokens for a picture as the processor would: those in front are too many."""
        return 0 < self.added == self.written

    def _writes_specials(self, text: str) -> bool:
        # `apply_chat_template` of a tokenizer never adds special tokens, and of a processor none where the text has BOS.
        if not getattr(self.processor, "chat_template", None):
            return True
        bos = self.tokenizer.bos_token
        return bool(bos) and text.startswith(bos)

    def _text(self, message: Message) -> str:
        # Where the processor adds a picture's tokens itself, or the model has none, nothing stands for it.
        picture = f"{self.image_token}\n" if self.image_token and not self.added else ""
        return "".join(part if isinstance(part, str) else picture for part in message.parts)

    def _render(self, messages: list[dict[str, Any]]) -> str:
        from jinja2 import TemplateError

        writer = self.processor if getattr(self.processor, "chat_template", None) else self.tokenizer
        try:
            return str(writer.apply_chat_template(messages, add_generation_prompt=True, tokenize=False))
        except (*PROCESSOR_ERRORS, TemplateError) as error:
            raise GenerationError(
                f"the checkpoint's chat template refuses the conversation ({one_line(error)})"
            ) from error

    def _takes_parts(self) -> bool:
        """Whether the template reads content in parts; one that does not prints the list, or refuses it."""
        try:
            text = self._render(_user(_TEXT))
        except GenerationError:
            return False
        return _PROBE in text and f"'{_PROBE}'" not in text and f'"{_PROBE}"' not in text

    def _places_pictures(self) -> bool:
        try:
            return self._render(_user({"type": "image"}, _TEXT)) != self._render(_user(_TEXT))
        except GenerationError:
            return False

    def _added(self) -> int:
        """How many tokens the processor writes for a picture where the text names none."""
        try:
            with_picture = self._length(self.processor(text=[_PROBE], images=[[_picture()]], return_tensors="pt"))
        except PROCESSOR_ERRORS:
            return 0  # it counts placeholders, and there was none
        try:
            without = self._length(self.processor(text=[_PROBE], return_tensors="pt"))
        except PROCESSOR_ERRORS:
            without = self._length(self.tokenizer([_PROBE], return_tensors="pt"))
        return max(0, with_picture - without)

    @staticmethod
    def _length(encoded: Any) -> int:
        return int(encoded["input_ids"].shape[-1])


def one_line(error: BaseException, limit: int = 300) -> str:
    """An error of another library as one line of at most `limit` characters."""
    text = " ".join(str(error).split()) or type(error).__name__
    return text if len(text) <= limit else text[: limit - 1] + "…"


def _text(text: str) -> dict[str, Any]:
    return {"type": "text", "text": text}


def _user(*content: dict[str, Any]) -> list[dict[str, Any]]:
    return [{"role": "user", "content": list(content)}]


def _parts(message: Message) -> list[dict[str, Any]]:
    return [_text(part) if isinstance(part, str) else {"type": "image"} for part in message.parts]


def _picture() -> Image.Image:
    """A picture for probing: large enough for every patch size in use."""
    return Image.new("RGB", (64, 64), (127, 127, 127))
