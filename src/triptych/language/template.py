"""From messages to pieces of text, using the tokenizer's own chat template.

    messages ──► the template, rendered once per sequence of roles with marks in place of what is said
             ──► glue₀ · said₀ · glue₁ · said₁ · … · glueₙ      (glue: role headers, end-of-turn tokens)

What the assistant says, and the end-of-turn token right behind it, are labelled as they are written: no
tokenised text is ever searched for a role's marker. Documents have no turns and get no template:

    document ──► beginning of text · text · medium · text · … · end of text
"""

from __future__ import annotations

import functools
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

from triptych.conversation import Conversation, Image, Message, Region, system
from triptych.conversation.conversation import Part
from triptych.errors import RecipeError
from triptych.language.regions import RegionWriter, Token
from triptych.language.templates import PLAIN, resolve

__all__ = ["PLAIN", "ChatTemplate", "Piece"]

_MARK = re.compile("\ue000(\\d+)([cmt])\ue001")
_STOP = "\ue002"

Half = Literal["c", "m", "t"]
"""What a template writes of a message: its content, only its media, only its text."""


@dataclass(frozen=True)
class Piece:
    """Token ids or a medium, in the order in which they are read; `supervised` tokens are what training predicts.

    A piece of one token that stands for a region holds it.
    """

    ids: tuple[int, ...] = ()
    medium: Image | None = None
    supervised: bool = False
    region: Region | None = None


@dataclass(frozen=True)
class _Slot:
    """What of a message stands here, and what the template writes behind it."""

    message: int
    half: Half
    after: str

    def parts(self, message: Message) -> list[Part]:
        """The parts of the message that are written here."""
        return [part for part in message.parts if self.half == "c" or isinstance(part, Image) == (self.half == "m")]


@dataclass(frozen=True)
class _Written:
    """Something in its place: what people say, or what the template writes; `closes`: the end of a turn is found in it."""

    what: str | Token | Image
    said: bool = False
    supervised: bool = False
    closes: bool = False


class ChatTemplate:
    """Writes conversations as pieces for one tokenizer.

    Args:
        tokenizer: A Hugging Face tokenizer.
        template: The name of a template (`triptych.language.templates`) or Jinja source instead of the tokenizer's own;
            `PLAIN` where there is none.
        system_prompt: Put in front of conversations without a system message; None leaves it to the template.
        regions: Writes the regions of messages, with tokens that the tokenizer knows; None where nobody does.

    Raises:
        RecipeError: There is no such template, or it does not reproduce what is said, so that it cannot be followed.
    """

    def __init__(
        self,
        tokenizer: Any,
        template: str | None = None,
        system_prompt: str | None = None,
        regions: RegionWriter | None = None,
    ) -> None:
        self.tokenizer = tokenizer
        try:
            self.template = resolve(template) or getattr(tokenizer, "chat_template", None) or PLAIN
        except ValueError as error:
            raise RecipeError(str(error)) from None
        self.system_prompt = system_prompt
        self.regions = regions
        self._ids = functools.lru_cache(maxsize=65536)(self._tokenise)
        self._glue = functools.lru_cache(maxsize=4096)(self._render)
        self._adds_space = _adds_space(tokenizer)
        self.end: tuple[int, ...] = self._end_of_turn()

    def pieces(self, messages: Sequence[Message], reply: bool = False) -> list[Piece]:
        """The messages as pieces.

        Args:
            messages: What is said, or the stretches of one document.
            reply: End with the header of the assistant's answer instead of behind the last message; a document ends
                without its end-of-text token.

        Raises:
            RecipeError: The template refuses the roles, or document and turns are mixed.
        """
        if any(message.role == "document" for message in messages):
            return self._document(messages, reply)
        if self.system_prompt is not None and (not messages or messages[0].role != "system"):
            messages = [system(self.system_prompt), *messages]
        before, slots = self._glue(_shape(messages), reply)
        written = [_Written(before)]
        for slot in slots:
            message = messages[slot.message]
            supervised = message.role == "assistant" and message.supervised
            said = self._without_regions(slot.parts(message), message.role == "assistant")
            written += [_Written(part, said=True, supervised=supervised) for part in said]
            end, stop, behind = slot.after.partition(_STOP)
            if stop:
                written += [_Written(end, supervised=supervised), _Written(behind)]
            else:
                closes = message.role == "assistant" and slot.half != "m"
                written.append(_Written(slot.after, supervised=supervised, closes=closes))
        return self._tokenised(written)

    def _document(self, messages: Sequence[Message], reply: bool) -> list[Piece]:
        """A document as it stands between the tokenizer's own beginning and end of text: no template, no roles."""
        if any(message.role != "document" for message in messages):
            raise RecipeError(
                "a conversation is a document or has turns, not both: a dialogue has no place for documents"
            )
        begin, end = self.tokenizer.bos_token_id, self.tokenizer.eos_token_id
        pieces = [] if begin is None else [Piece((begin,))]
        written = [
            _Written(part, said=True, supervised=message.supervised)
            for message in messages
            for part in self._without_regions(message.parts, True)
        ]
        pieces += self._tokenised(written)
        if not reply and end is not None:
            pieces.append(Piece((end,), supervised=messages[-1].supervised))
        return pieces

    def _without_regions(self, parts: Sequence[Part], answer: bool) -> list[str | Token | Image]:
        """The parts with regions written as text and tokens.

        Raises:
            ValueError: There are regions, and nobody writes them, or one cannot be written.
        """
        if self.regions is not None:
            return self.regions.write(parts, answer)
        found = [part for part in parts if not isinstance(part, Region)]
        if len(found) < len(parts):
            raise ValueError("it has regions, and the model has no way to write them: set `model.regions`")
        return list(found)

    def text(self, conversation: Conversation, reply: bool = False) -> str:
        """The conversation as one string for people to read, media as `<image>`."""
        if any(message.role == "document" for message in conversation.messages):
            return "".join(self._shown(m.parts, True) for m in conversation.messages)
        before, slots = self._glue(_shape(conversation.messages), reply)
        messages = conversation.messages
        said = [
            self._shown(slot.parts(messages[slot.message]), messages[slot.message].role == "assistant")
            for slot in slots
        ]
        return (before + "".join(text + slot.after for text, slot in zip(said, slots, strict=True))).replace(_STOP, "")

    def _shown(self, parts: Sequence[Part], answer: bool) -> str:
        found = self._without_regions(parts, answer)
        return "".join(part if isinstance(part, str) else "<image>" for part in found)

    def _tokenised(self, written: Sequence[_Written]) -> list[Piece]:
        pieces: list[Piece] = []
        text_follows = True  # at the end of a prompt, an answer
        for part in reversed([part for part in written if part.what != "" or part.closes]):
            if not isinstance(part.what, str):
                pieces.append(Piece(medium=part.what))
            elif isinstance(part.what, Token):
                token_id = (int(self.tokenizer.convert_tokens_to_ids(str(part.what))),)
                pieces.append(Piece(token_id, supervised=part.supervised, region=part.what.region))
            elif part.closes:
                ids = self._ids(part.what, True)
                behind = ids[len(self.end) :] if ids[: len(self.end)] == self.end else ids
                pieces += [Piece(behind), Piece(self.end, supervised=part.supervised)]
            else:
                # A tokenizer that puts a space in front of every text does so in front of what follows, too.
                text = part.what.removesuffix(" ") if self._adds_space and text_follows and not part.said else part.what
                pieces.append(Piece(self._ids(text, not part.said), supervised=part.supervised))
            text_follows = isinstance(part.what, str) and not isinstance(part.what, Token)
        return [piece for piece in reversed(pieces) if piece.ids or piece.medium is not None]

    def _tokenise(self, text: str, trusted: bool) -> tuple[int, ...]:
        """Ids of a text; a special token's name inside what a person says is only text."""
        if self._adds_space:
            text = text.removeprefix(" ")
        if not text:
            return ()
        encoded = self.tokenizer(text, add_special_tokens=False, split_special_tokens=not trusted, verbose=False)
        return tuple(encoded["input_ids"])

    def _render(self, shape: tuple[tuple[str, int], ...], reply: bool) -> tuple[str, tuple[_Slot, ...]]:
        """What the template writes in front of messages of these roles and numbers of pictures, and its slots for them."""
        roles = ", ".join(role for role, _ in shape)
        marked = [
            {
                "role": role,
                "pictures": pictures,
                **{name: f"\ue000{i}{name[0]}\ue001" for name in ("content", "media", "text")},
            }
            for i, (role, pictures) in enumerate(shape)
        ]
        try:
            rendered = self.tokenizer.apply_chat_template(
                marked, chat_template=self.template, tokenize=False, add_generation_prompt=reply, stop=_STOP
            )
        except Exception as error:  # jinja2 and the template's own raise_exception
            raise RecipeError(f"the chat template refuses the turns {roles}: {error}") from error
        before, *rest = _MARK.split(rendered)
        slots = tuple(
            _Slot(int(number), half, after)  # type: ignore[arg-type]
            for number, half, after in zip(rest[::3], rest[1::3], rest[2::3], strict=True)
        )
        order = [slot.message for slot in slots]
        halves = [{slot.half for slot in slots if slot.message == i} for i in range(len(shape))]
        complete = all(
            _complete(halves[i], role, pictures) and order.count(i) == len(halves[i])
            for i, (role, pictures) in enumerate(shape)
        )
        if order != sorted(order) or not complete:
            raise RecipeError(
                f"the chat template drops, repeats or reorders what is said in {roles}; "
                "set model.language.chat_template to one that writes every message once"
            )
        return before, slots

    def _end_of_turn(self) -> tuple[int, ...]:
        """What ends an answer: the template's text to its `stop`, or to the first special token, or the end-of-text token."""
        after = self._glue((("user", 0), ("assistant", 0)), False)[1][-1].after
        end, stop, _ = after.partition(_STOP)
        if stop:
            return self._ids(end, True)
        behind = self._ids(after, True)
        special = set(self.tokenizer.all_special_ids) | set(getattr(self.tokenizer, "added_tokens_decoder", {}))
        for place, token in enumerate(behind):
            if token in special:
                return behind[: place + 1]
        if self.tokenizer.eos_token_id is None:
            raise RecipeError("the tokenizer has no end-of-text token and its chat template ends no turn with one")
        return (self.tokenizer.eos_token_id,)


def _shape(messages: Sequence[Message]) -> tuple[tuple[str, int], ...]:
    return tuple((message.role, len(list(message.media))) for message in messages)


def _complete(halves: set[Half], role: str, pictures: int) -> bool:
    """Whether a message is written once, as a whole or in halves; words other than the assistant's may be left out."""
    media, words = bool(halves & {"c", "m"}), bool(halves & {"c", "t"})
    once = bool(halves) and ("c" not in halves or len(halves) == 1)
    return once and (media or not pictures) and (words or role != "assistant")


def _adds_space(tokenizer: Any) -> bool:
    """Whether the tokenizer puts a space in front of every text, as LLaMA's does."""
    ids = tokenizer("a", add_special_tokens=False)["input_ids"]
    return bool(ids) and str(tokenizer.convert_ids_to_tokens(ids[0])).startswith("\u2581")
