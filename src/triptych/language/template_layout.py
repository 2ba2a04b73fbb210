"""Where in what a template writes the prompt of each answer ends, and what of it is learned.

prompt of answer i  = the template's text of all messages before it, with the header of the answer
answer i            = whatever follows, to the end of the turn: what a model that was given the prompt has to write
the sequence        = the template's text of all messages; answer i is learned there if the sequence begins with
                      prompt i and answer i. Where a template writes an answer otherwise once others follow it (without its
                      thoughts, as reasoning models want it), that answer is read and not learned.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, TypeAlias

from triptych.language.template_encode import THINK, Control, TextEncoder, special_tokens
from triptych.language.template_render import TemplateRefusal, render
from triptych.language.template_shape import ANCHOR, MARK, PICTURE, STOP, Kind, Shape

Shapes: TypeAlias = tuple[Shape, ...]


@dataclass(frozen=True)
class Place:
    """Where something that is said stands: number of the message, and of what is said in it."""

    message: int
    content: int


@dataclass(frozen=True)
class Atom:
    """Something in its place.

    Args:
        what: Text of the template, one of its control tokens, or the place of what is said.
        answer: The message that it is learned as a part of; None where it is not learned.
        closing: Whether it ends the turn and is no control token: then no token crosses its beginning.
    """

    what: str | Control | Place
    answer: int | None = None
    closing: bool = False


@dataclass(frozen=True)
class _Answer:
    """An answer in the template's text.

    Args:
        prompt: What stands before it.
        said: From the prompt's end to the end of what it says.
        end: What ends the turn, and is learned.
        tail: What the template writes behind that.
        kept: Whether the template itself ends the turn so, also in the middle of a conversation.
    """

    prompt: str
    said: str
    end: str
    tail: str
    kept: bool

    def begins(self, text: str) -> bool:
        """Whether a text begins with prompt and answer."""
        return text.startswith(self.prompt + self.said + (self.end if self.kept else ""))


class TemplateLayout:
    """One template for one tokenizer.

    Args:
        template: Jinja source.
        encoder: Of the tokenizer.
        drops_spaces: Whether spaces at the end of prompts are left out, and so belong to the answer.
    """

    def __init__(self, template: str, encoder: TextEncoder, drops_spaces: bool = False) -> None:
        self.template = template
        self.encoder = encoder
        self.drops_spaces = drops_spaces
        self.layout = lru_cache(maxsize=4096)(self._layout)
        self.answer = lru_cache(maxsize=4096)(self._answer)

    def variables(self, messages: Sequence[dict[str, Any]], reply: bool, **more: Any) -> dict[str, Any]:
        """What transformers gives a template, and more."""
        return {
            **special_tokens(self.encoder.tokenizer),
            "messages": list(messages),
            "tools": None,
            "documents": None,
            "add_generation_prompt": reply,
            **more,
        }

    def text(self, shapes: Shapes, reply: bool) -> str:
        """What the template writes, marks in place of what is said.

        Raises:
            TemplateRefusal: It refuses the turns, or drops, repeats or reorders what is said.
        """
        messages = [shape.variables(number) for number, shape in enumerate(shapes)]
        try:
            written = render(self.template, self.variables(messages, reply, stop=STOP, picture=PICTURE))
        except TemplateRefusal as error:
            raise TemplateRefusal(f"the chat template refuses the turns {_roles(shapes)}: {error}") from None
        anchored = {int(number) for number in ANCHOR.findall(written)}
        written = _with_pictures(ANCHOR.sub("", written), shapes)
        _check(written, shapes, anchored)
        return written.rstrip(" ") if reply and self.drops_spaces else written

    def end_of_turn(self) -> tuple[str, bool]:
        """What ends an answer, and whether the template writes it.

        Raises:
            TemplateRefusal: It cannot write a question and an answer.
        """
        said: tuple[tuple[Kind, str], ...] = (("text", ""),)
        answer = self.answer((Shape("user", said), Shape("assistant", said)))
        return answer.end, answer.kept

    def _answer(self, shapes: Shapes) -> _Answer:
        """The last message, an answer, as a model writes it."""
        number, shape = len(shapes) - 1, shapes[-1]
        text, content = self.text(shapes, False), shape.content(number)
        own = [mark.span() for mark in MARK.finditer(text) if int(mark[1]) == number]
        if not own:
            raise TemplateRefusal(f"the chat template leaves the answer out in {_roles(shapes)}")
        first, last = own[0][0], own[-1][1]
        try:
            prompt = self.text(shapes[:-1], True)
        except TemplateRefusal:  # nothing can be asked so; then the answer begins where its words do
            prompt = text[:first]
        end, tail, kept = self._end(text[last:])
        whole = len(own) == sum(kind != "literal" for kind, _ in shape.items)
        if text.startswith(prompt):
            # What a template leaves out of an answer is for the conversation's later turns; the model still writes it.
            said = text[len(prompt) : last] if whole else text[len(prompt) : first] + content
        else:
            said = _continued(prompt[_common(prompt, text) :], content)
        return _Answer(prompt, said, end, tail, kept)

    def _end(self, behind: str) -> tuple[str, str, bool]:
        """What ends a turn in what a template writes behind an answer: to its `stop`, or to the first control token."""
        end, stop, tail = behind.partition(STOP)
        if stop:
            return end + stop, tail, True
        pieces = self.encoder.split(behind)
        for place, piece in enumerate(pieces):
            if isinstance(piece, Control):
                length = sum(len(text) for text in pieces[:place] if isinstance(text, str))
                name = next(
                    name
                    for name in sorted(self.encoder.controls, key=len, reverse=True)
                    if behind.startswith(name, length)
                )
                return behind[: length + len(name)], behind[length + len(name) :], True
        close = self.encoder.tokenizer.eos_token
        if close is None:
            raise TemplateRefusal("the tokenizer has no end-of-text token and its chat template ends no turn with one")
        return str(close), behind, False

    def _layout(self, shapes: Shapes, reply: bool) -> tuple[Atom, ...]:
        """The sequence of messages of these shapes; of a prompt, nothing is learned."""
        text = self.text(shapes, reply)
        if reply:
            return tuple(self._atoms(text, ()))
        if shapes and shapes[-1].role == "assistant" and shapes[-1].items:
            last = self.answer(shapes)
            if not (last.begins(text) and last.kept):
                text = last.prompt + last.said + last.end + last.tail
        spans: list[tuple[int, int, int, int]] = []
        for number, shape in enumerate(shapes):
            if shape.role != "assistant" or not shape.items:
                continue
            answer = self.answer(shapes[: number + 1])
            if answer.begins(text):
                start, middle = len(answer.prompt), len(answer.prompt + answer.said)
                ended = answer.kept or number == len(shapes) - 1
                spans.append((number, start, middle, middle + (len(answer.end) if ended else 0)))
        return tuple(self._atoms(text, spans))

    def _atoms(self, text: str, spans: Sequence[tuple[int, int, int, int]]) -> list[Atom]:
        """A text in its parts; spans: message, beginning of the answer, end of what it says, end of the turn."""
        cuts = sorted({0, len(text), *(cut for span in spans for cut in span[1:])})
        atoms: list[Atom] = []
        for start, stop in itertools.pairwise(cuts):
            piece = text[start:stop]
            owner = next((span for span in spans if span[1] <= start < span[3]), None)
            answer = None if owner is None else owner[0]
            closing = owner is not None and start >= owner[2] and STOP in piece
            glue, *rest = MARK.split(piece)
            atoms += [Atom(what, answer, closing) for what in self.encoder.split(glue.replace(STOP, ""))]
            for message, content, behind in zip(rest[::3], rest[1::3], rest[2::3], strict=True):
                atoms.append(Atom(Place(int(message), int(content)), answer, closing))
                atoms += [Atom(what, answer, closing) for what in self.encoder.split(behind.replace(STOP, ""))]
        return atoms


def _common(a: str, b: str) -> int:
    """How many characters two texts begin with alike."""
    return next((i for i, (x, y) in enumerate(zip(a, b, strict=False)) if x != y), min(len(a), len(b)))


def _continued(header: str, content: str) -> str:
    """What a model writes behind a header that the template puts in front of answers to come, and of none that was given.

    Raises:
        TemplateRefusal: The header ends thinking before it began, and the answer thinks.
    """
    opening = header.strip()
    if opening and content.startswith(opening):  # the answer begins as the prompt has it begin
        return content[len(opening) :].lstrip()
    if opening.endswith(THINK[0]):
        return f"\n{THINK[1]}\n\n{content}"
    if opening.endswith(THINK[1]) and THINK[0] in content:
        raise TemplateRefusal("the chat template's prompt ends thinking, and the answer has thoughts")
    return content


def _with_pictures(text: str, shapes: Shapes) -> str:
    """A text with the pictures' marks in place of what the template writes for the next picture."""
    if PICTURE not in text:
        return text
    marks = [mark for number, shape in enumerate(shapes) for kind, mark in shape.marks(number) if kind == "media"]
    pieces = text.split(PICTURE)
    if len(pieces) != len(marks) + 1:
        raise _lost(shapes)
    return "".join(piece + mark for piece, mark in zip(pieces, [*marks, ""], strict=True))


def _check(text: str, shapes: Shapes, anchored: set[int]) -> None:
    """Everything that is said is written once and in order; only words next to media, and thoughts, may be left out."""
    places = [(int(message), int(content)) for message, content in MARK.findall(text)]
    if len(set(places)) < len(places) or [message for message, _ in places] != sorted(message for message, _ in places):
        raise _lost(shapes)
    for number, shape in enumerate(shapes):
        kinds = [kind for kind, _ in shape.items if kind != "literal"]
        for kind in ("media", "text"):
            expected = [i for i, each in enumerate(kinds) if each == kind]
            written = [content for message, content in places if message == number and kinds[content] == kind]
            if written == expected or (
                kind == "text" and not written and number in anchored and shape.role != "assistant"
            ):
                continue
            if written != [i for i in expected if i in written or not shape.may_lack(i)]:
                raise _lost(shapes)


def _lost(shapes: Shapes) -> TemplateRefusal:
    return TemplateRefusal(
        f"the chat template drops, repeats or reorders what is said in {_roles(shapes)}; "
        "set model.language.chat_template to one that writes every message once"
    )


def _roles(shapes: Shapes) -> str:
    return ", ".join(shape.role for shape in shapes)
