"""What a chat template sees of messages: who speaks, where media stand, and those texts that it looks for itself.

    user(picture, " What? ")  ──►  user: [media] · literal " " · [text] · literal " "
    assistant("<think>a</think>b") ──► assistant: literal "<think>" · [text] · literal "</think>" · [text]

Everything else that people say is a mark, so that what the template does (trim, split, drop, reorder) is seen, and is worked
out once for all conversations of a shape. Marks and literals in order are the content that the template is given.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

from triptych.conversation import Medium, Message
from triptych.language.regions import Token

STOP, PICTURE = "\ue002", "\ue003"
"""What templates write as `{{ stop }}` and `{{ picture }}`: the end of what is learned, and the next picture."""

MARK = re.compile("\ue000(\\d+)\\.(\\d+)\ue001")
ANCHOR = re.compile("\ue000(\\d+)m\ue001")
"""Written where a template writes the media of a message apart from its words: then it may leave the words out."""

Content: TypeAlias = str | Token | Medium
Kind: TypeAlias = Literal["text", "media", "literal"]


@dataclass(frozen=True)
class Shape:
    """A message as a template sees it.

    Args:
        role: Who speaks.
        items: Kind of each item, and what a literal says, or which modality a medium has; texts and media are numbered in
            order.
    """

    role: str
    items: tuple[tuple[Kind, str], ...]

    @property
    def pictures(self) -> int:
        """How many media there are."""
        return sum(kind == "media" for kind, _ in self.items)

    def marks(self, number: int) -> list[tuple[Kind, str]]:
        """The items as they stand in what message `number` says to the template."""
        count = 0
        written: list[tuple[Kind, str]] = []
        for kind, literal in self.items:
            written.append((kind, literal if kind == "literal" else f"\ue000{number}.{count}\ue001"))
            count += kind != "literal"
        return written

    def content(self, number: int) -> str:
        """All of it in order."""
        return "".join(text for _, text in self.marks(number))

    def variables(self, number: int) -> dict[str, Any]:
        """The message for a template: `content`; its halves `media` and `text`; `pictures`; and `parts`, as processors have it."""
        parts: list[dict[str, str]] = []
        modalities = (modality for kind, modality in self.items if kind == "media")
        for kind, text in self.marks(number):
            if kind == "media":
                parts.append({"type": next(modalities)})
            elif parts and parts[-1]["type"] == "text":
                parts[-1]["text"] += text
            else:
                parts.append({"type": "text", "text": text})
        media = "".join(text for kind, text in self.marks(number) if kind == "media")
        return {
            "role": self.role,
            "content": self.content(number),
            "media": f"\ue000{number}m\ue001{media}",
            "text": "".join(text for kind, text in self.marks(number) if kind != "media"),
            "pictures": self.pictures,
            "parts": parts,
        }

    def may_lack(self, count: int) -> bool:
        """Whether a template may leave out text number `count`: what an answer says before its last keyword, as thoughts are."""
        last = max((i for i, (kind, text) in enumerate(self.items) if kind == "literal" and text.strip()), default=-1)
        before = sum(kind != "literal" for kind, _ in self.items[: last + 1])
        return self.role == "assistant" and count < before


@dataclass(frozen=True)
class Keywords:
    """What a template looks for in messages of a role.

    Args:
        words: The texts that it looks for.
        whole: Texts that no keyword is looked for in: names of tokens.
    """

    words: frozenset[str]
    whole: frozenset[str] = frozenset()

    @functools.cached_property
    def pattern(self) -> re.Pattern[str] | None:
        """Finds them, the longest first."""
        every = sorted(self.words | self.whole, key=len, reverse=True)
        return re.compile(f"({'|'.join(map(re.escape, every))})") if self.words else None

    def split(self, text: str) -> list[str]:
        """A text cut at the keywords: text, keyword, text, …"""
        if self.pattern is None:
            return [text]
        chunks = [""]
        for place, chunk in enumerate(self.pattern.split(text)):
            if place % 2 and chunk in self.words:
                chunks += [chunk, ""]
            else:
                chunks[-1] += chunk
        return chunks


def outline(message: Message, parts: Sequence[Content], keywords: Keywords) -> tuple[Shape, tuple[Content, ...]]:
    """A message's shape, and what its marks stand for.

    White space around what is said is the template's to see (many trim it), but for that around an answer, which is learned
    to the letter.

    Args:
        message: The message.
        parts: Its parts, regions written.
        keywords: What the template looks for in messages of this role.
    """
    items: list[tuple[Kind, str]] = []
    contents: list[Content] = []
    for part in _joined(parts):
        if isinstance(part, Medium | Token):
            items.append(("media", part.modality) if isinstance(part, Medium) else ("text", ""))
            contents.append(part)
            continue
        chunks = keywords.split(part)
        for place, chunk in enumerate(chunks):
            if place % 2:
                items.append(("literal", chunk))
                continue
            outer = message.role != "assistant"
            left = chunk[: len(chunk) - len(chunk.lstrip())] if place > 0 or outer else ""
            body = chunk[len(left) :]
            right = body[len(body.rstrip()) :] if place < len(chunks) - 1 or outer else ""
            body = body[: len(body) - len(right)]
            if left:
                items.append(("literal", left))
            if body:
                items.append(("text", ""))
                contents.append(body)
            if right:
                items.append(("literal", right))
    return Shape(message.role, tuple(items)), tuple(contents)


def _joined(parts: Sequence[Content]) -> list[Content]:
    """The parts, texts that follow each other as one."""
    joined: list[Content] = []
    for part in parts:
        plain = isinstance(part, str) and not isinstance(part, Token)
        if plain and joined and isinstance(joined[-1], str) and not isinstance(joined[-1], Token):
            joined[-1] = joined[-1] + str(part)
        elif part != "":
            joined.append(part)
    return joined
