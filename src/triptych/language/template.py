"""From messages to pieces of text, using the tokenizer's own chat template.

    messages ──► the template, rendered once per sequence of roles with marks in place of what is said
             ──► glue₀ · said₀ · glue₁ · said₁ · … · glueₙ      (glue: role headers, end-of-turn tokens)

What the assistant says, and the end-of-turn token right behind it, are labelled as they are written: no
tokenised text is ever searched for a role's marker.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from triptych.conversation import Conversation, Image, Message, system
from triptych.errors import RecipeError

PLAIN = (
    "{{ bos_token }}{% for m in messages %}{{ m['role'] | capitalize }}: {{ m['content'] }}"
    "{% if m['role'] == 'assistant' %}{{ eos_token }}{% endif %}\n{% endfor %}"
    "{% if add_generation_prompt %}Assistant: {% endif %}"
)
"""For language models that come without a template."""

_MARK = re.compile("\ue000(\\d+)\ue001")


@dataclass(frozen=True)
class Piece:
    """Token ids or a medium, in the order in which they are read; `supervised` tokens are what training predicts."""

    ids: tuple[int, ...] = ()
    medium: Image | None = None
    supervised: bool = False


class ChatTemplate:
    """Writes conversations as pieces for one tokenizer.

    Args:
        tokenizer: A Hugging Face tokenizer.
        template: Jinja source instead of the tokenizer's own; `PLAIN` where neither is given.
        system_prompt: Put in front of conversations without a system message; None leaves it to the template.

    Raises:
        RecipeError: The template does not reproduce what is said, so that it cannot be followed.
    """

    def __init__(self, tokenizer: Any, template: str | None = None, system_prompt: str | None = None) -> None:
        self.tokenizer = tokenizer
        self.template = template or getattr(tokenizer, "chat_template", None) or PLAIN
        self.system_prompt = system_prompt
        self._ids = functools.lru_cache(maxsize=65536)(self._tokenise)
        self._glue = functools.lru_cache(maxsize=4096)(self._render)
        self.end: tuple[int, ...] = self._end_of_turn()

    def pieces(self, messages: Sequence[Message], reply: bool = False) -> list[Piece]:
        """The messages as pieces.

        Args:
            messages: What is said.
            reply: End with the header of the assistant's answer instead of behind the last message.
        """
        if self.system_prompt is not None and (not messages or messages[0].role != "system"):
            messages = [system(self.system_prompt), *messages]
        glue = self._glue(tuple(message.role for message in messages), reply)
        pieces = [Piece(self._ids(glue[0], True))]
        for message, after in zip(messages, glue[1:], strict=True):
            supervised = message.role == "assistant"
            for part in message.parts:
                if isinstance(part, str):
                    pieces.append(Piece(self._ids(part, False), supervised=supervised))
                else:
                    pieces.append(Piece(medium=part))
            ids = self._ids(after, True)
            if supervised:
                behind = ids[len(self.end) :] if ids[: len(self.end)] == self.end else ids
                pieces += [Piece(self.end, supervised=True), Piece(behind)]
            else:
                pieces.append(Piece(ids))
        return [piece for piece in pieces if piece.ids or piece.medium is not None]

    def text(self, conversation: Conversation, reply: bool = False) -> str:
        """The conversation as one string for people to read, media as `<image>`."""
        glue = self._glue(tuple(message.role for message in conversation.messages), reply)
        said = ["".join(p if isinstance(p, str) else "<image>" for p in m.parts) for m in conversation.messages]
        return glue[0] + "".join(text + after for text, after in zip(said, glue[1:], strict=True))

    def _tokenise(self, text: str, trusted: bool) -> tuple[int, ...]:
        """Ids of a text; a special token's name inside what a person says is only text."""
        if not text:
            return ()
        encoded = self.tokenizer(text, add_special_tokens=False, split_special_tokens=not trusted, verbose=False)
        return tuple(encoded["input_ids"])

    def _render(self, roles: tuple[str, ...], reply: bool) -> tuple[str, ...]:
        """What the template writes around the messages of these roles: `len(roles) + 1` strings."""
        marked = [{"role": role, "content": f"\ue000{i}\ue001"} for i, role in enumerate(roles)]
        try:
            rendered = self.tokenizer.apply_chat_template(
                marked, chat_template=self.template, tokenize=False, add_generation_prompt=reply
            )
        except Exception as error:  # jinja2 and the template's own raise_exception
            raise RecipeError(f"the chat template refuses the turns {', '.join(roles)}: {error}") from error
        pieces = _MARK.split(rendered)
        if [int(mark) for mark in pieces[1::2]] != list(range(len(roles))):
            raise RecipeError(
                f"the chat template drops, repeats or reorders what is said in {', '.join(roles)}; "
                "set model.language.chat_template to one that writes every message once"
            )
        return tuple(pieces[::2])

    def _end_of_turn(self) -> tuple[int, ...]:
        """What ends an answer: the template's text behind it to its first special token, or the end-of-text token."""
        behind = self._ids(self._glue(("user", "assistant"), False)[-1], True)
        special = set(self.tokenizer.all_special_ids) | set(getattr(self.tokenizer, "added_tokens_decoder", {}))
        for place, token in enumerate(behind):
            if token in special:
                return behind[: place + 1]
        if self.tokenizer.eos_token_id is None:
            raise RecipeError("the tokenizer has no end-of-text token and its chat template ends no turn with one")
        return (self.tokenizer.eos_token_id,)
