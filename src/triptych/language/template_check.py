"""A template is checked when it is built: conversations through ours and through transformers' way have the same ids.

messages ──► pieces ──────────────────────────────────► ids ┐
                                                            ├ equal, or the template is refused
messages ──► the exported template ──► one string ──► ids ──┘
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from triptych.conversation import Image, Medium, Message, Part, assistant, system, user
from triptych.errors import RecipeError
from triptych.language.hub_templates import for_transformers
from triptych.language.template_encode import special_tokens
from triptych.language.template_render import TemplateRefusal, render

PICTURE = Image(b"")
"""Nobody looks at it."""

_THOUGHTS = "<think>\nIs it red?\n</think>\n\nIt is red."

CONVERSATIONS: dict[str, tuple[Message, ...]] = {
    "a question": (user("What is this?"),),
    "white space": (user(" What is\n\nthis?  "),),
    "a follow-up": (user("What is this?"), assistant("It is red."), user("Sure? (B)"), assistant("Yes."), user("12?")),
    "a system prompt": (system("Be brief."), user("What is this?"), assistant("A cat."), user("Sure?")),
    "thoughts": (user("What is this?"), assistant(_THOUGHTS), user("Sure?")),
    "a picture": (user(PICTURE, "What is this?"),),
    "a picture between words": (user("Look: ", PICTURE, "\nWhat is this?"), assistant("It is red."), user("Sure?")),
}
"""What a template is checked with: each ends with a question to be answered."""


class Followed(Protocol):
    """What is checked: a `ChatTemplate`."""

    tokenizer: Any
    template: str
    system_prompt: str | None
    drops_spaces: bool

    def pieces(self, messages: Sequence[Message], reply: bool = False) -> list[Any]:
        """See `ChatTemplate.pieces`."""
        ...


@dataclass(frozen=True)
class Disagreement:
    """A conversation of which two ways make different ids.

    Args:
        name: Of the conversation.
        ours: The ids that Triptych makes.
        other: The others.
        against: Whose they are.
    """

    name: str
    ours: tuple[int, ...]
    other: tuple[int, ...]
    against: str

    def told(self, decode: Callable[[Sequence[int]], str]) -> str:
        """The difference in words."""
        pairs = zip(self.ours, self.other, strict=False)
        at = next((i for i, (a, b) in enumerate(pairs) if a != b), min(len(self.ours), len(self.other)))
        ours, other = (decode(list(ids[max(0, at - 8) : at + 8])) for ids in (self.ours, self.other))
        return f"{self.name}: {ours!r} here, {other!r} {self.against}"


def as_transformers_has_it(messages: Sequence[Message]) -> list[dict[str, Any]]:
    """Messages of text and media for `apply_chat_template`: texts as strings, and parts where there are media."""

    def part(value: Part) -> dict[str, str]:
        if isinstance(value, Medium):
            return {"type": value.modality}
        return {"type": "text", "text": str(value)}

    return [
        {"role": message.role, "content": [part(each) for each in message.parts] if message.media else message.text}
        for message in messages
    ]


def flat(pieces: Sequence[Any], medium: Sequence[int] = ()) -> tuple[int, ...]:
    """The ids of pieces, `medium` in place of each medium."""
    return tuple(id_ for piece in pieces for id_ in (piece.ids if piece.medium is None else medium))


def prefixes(template: Followed, messages: Sequence[Message]) -> Iterator[tuple[int, tuple[int, ...], tuple[int, ...]]]:
    """For each answer that training learns: its number, the ids in front of it, and those of its prompt (media as -1)."""
    pieces = template.pieces(messages)
    runs: list[tuple[int, ...]] = []
    before: tuple[int, ...] = ()
    learning = False
    for piece in pieces:
        if piece.supervised and not learning:
            runs.append(before)
        learning = piece.supervised
        before += piece.ids if piece.medium is None else (-1,)
    answers = [number for number, message in enumerate(messages) if message.role == "assistant"]
    prompts = {number: flat(template.pieces(messages[:number], reply=True), (-1,)) for number in answers}
    for run in runs:
        number = next((number for number in answers if prompts[number] == run), None)
        if number is None:
            nearest = max(answers, key=lambda number: _common(prompts[number], run))
            yield nearest, run, prompts[nearest]
        else:
            yield number, run, prompts[number]


def _common(a: Sequence[int], b: Sequence[int]) -> int:
    return next((i for i, (x, y) in enumerate(zip(a, b, strict=False)) if x != y), min(len(a), len(b)))


def disagreements(template: Followed, image: str | None = None) -> Iterator[Disagreement]:
    """Conversations of which training, prompt and transformers make different ids.

    Args:
        template: With its tokenizer.
        image: A control token to stand for pictures; without one, only conversations without pictures are compared.
    """
    tokenizer = template.tokenizer
    source = for_transformers(template.template, template.system_prompt, image or "<image>", template.drops_spaces)
    special = special_tokens(tokenizer)
    medium = () if image is None else (int(tokenizer.convert_tokens_to_ids(image)),)
    for name, messages in CONVERSATIONS.items():
        if image is None and any(message.media for message in messages):
            continue
        variables = {**special, "messages": as_transformers_has_it(messages), "tools": None, "documents": None}
        try:
            ours = flat(template.pieces(messages, reply=True), medium)
            learned = list(prefixes(template, [*messages, assistant("It is red.")]))
            text = render(source, {**variables, "add_generation_prompt": True})
        except TemplateRefusal:
            continue
        whole = tokenizer(text, add_special_tokens=False, split_special_tokens=False, verbose=False)["input_ids"]
        if ours != tuple(whole):
            yield Disagreement(name, ours, tuple(whole), "in transformers")
        for _, before, prompt in learned:
            if before != prompt:
                yield Disagreement(name, before, prompt, "in the prompt")


def check(template: Followed, image: str | None) -> None:
    """Refuse a template of which training, prompt and transformers would make different ids.

    Raises:
        RecipeError: So it is; the message has the first difference.
    """
    first = next(disagreements(template, image), None)
    if first is not None:
        raise RecipeError(
            f"the chat template cannot be followed: tokens differ in {first.told(template.tokenizer.decode)}; "
            "set model.language.chat_template to another"
        )
