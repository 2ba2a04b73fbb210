"""Planning: from a conversation to the exact sequence of tokens, before any tensor exists.

    Conversation ──► template pieces ──► Layout: ids, labels, media spans

This is the one place where a conversation becomes tokens, in training and in inference alike.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal

from triptych.conversation import Conversation, Image, Medium, Message, Region
from triptych.conversation.unicode import check_unicode
from triptych.errors import DataError
from triptych.language.regions import RegionWriter, Unfolder
from triptych.language.template import ChatTemplate, TemplateRefusal

IGNORE = -100
"""The label of a token that is not supervised."""


class Refusal(Exception):
    """A conversation that cannot be used, with the reason for the ledger."""

    def __init__(self, reason: str, detail: str) -> None:
        super().__init__(detail)
        self.reason = reason
        self.detail = detail


@dataclass(frozen=True)
class Span:
    """`length` consecutive positions from `start` that belong to one medium, none where the fusion needs none.

    Args:
        start: Position of the first.
        length: How many.
        medium: Whose they are.
        text: Of the message in which the medium stands, for adapters that read it.
    """

    start: int
    length: int
    medium: Medium
    text: str = ""


@dataclass(frozen=True)
class Layout:
    """The planned sequence of one conversation.

    Args:
        ids: Token ids `[L]`; at the positions of media, the placeholder.
        labels: `[L]`, the id where the token is supervised, `IGNORE` elsewhere.
        spans: Where the media are; in order, never overlapping.
        id: Of the conversation.
        annotations: Of the conversation.
        dropped: How many messages were left out from the oldest end.
        dataset: Name of the dataset that it comes from, where that matters.
        regions: Which tokens stand for a region (by their positions), and for which: where regions are not text.
    """

    ids: tuple[int, ...]
    labels: tuple[int, ...]
    spans: tuple[Span, ...]
    id: str = ""
    annotations: Mapping[str, Any] = field(default_factory=dict)
    dropped: int = 0
    dataset: str = ""
    regions: tuple[tuple[int, Region], ...] = ()

    def __len__(self) -> int:
        return len(self.ids)

    @property
    def supervised(self) -> int:
        """How many tokens are supervised. The first token of a sequence never is: nothing predicts it."""
        return sum(label != IGNORE for label in self.labels[1:])


def plan(
    conversation: Conversation,
    template: ChatTemplate,
    media_tokens: Callable[[Medium], int],
    max_tokens: int,
    overflow: Literal["shorten", "refuse"] = "shorten",
    placeholder: int = 0,
    reply: bool = False,
) -> Layout:
    """Plan one conversation.

    Args:
        conversation: What to plan.
        template: Writes the messages.
        media_tokens: How many positions a medium takes.
        max_tokens: The longest layout.
        overflow: What happens to a longer one: its oldest turns go, or it is refused (always, where it has to stay
            whole). The media of turns that go move to the oldest turn that stays, since later turns speak of them. A
            document loses whole stretches (its messages), media and all: what follows is about its own media.
        placeholder: The id written at the positions of media.
        reply: Plan a prompt: end with the header of the answer, supervise nothing.

    Raises:
        Refusal: It is empty, has nothing to supervise, does not fit, or is no Unicode.
        DataError: It has regions of a picture whose size cannot be read.
        RecipeError: The template refuses its turns.
    """
    if not conversation.messages:
        raise Refusal("empty", "the conversation has no messages")
    for message in conversation.messages:
        try:
            check_unicode(message.text, f"the {message.role}'s message")
        except DataError as error:
            raise Refusal("no Unicode", str(error)) from None
    messages, dropped = in_pixels(conversation.messages), 0
    while True:
        ids, labels, spans, regions = _write(messages, template, media_tokens, placeholder, reply)
        if len(ids) <= max_tokens:
            break
        if overflow == "refuse" or conversation.whole:
            raise Refusal("too long", f"{len(ids)} tokens do not fit into {max_tokens}")
        kept = _drop_oldest_turn(messages, template.regions)
        if kept is None:
            raise Refusal("too long", f"{len(ids)} tokens do not fit into {max_tokens}, even as a single turn")
        dropped += len(messages) - len(kept)
        messages = kept
    layout = Layout(
        tuple(ids),
        tuple(labels),
        tuple(spans),
        conversation.id,
        conversation.annotations,
        dropped,
        regions=tuple(regions),
    )
    if reply:
        return replace(layout, labels=(IGNORE,) * len(layout))
    if not any(_teaches(message) for message in messages):
        raise Refusal("nothing supervised", "the assistant says nothing, so there is nothing to learn from")
    if layout.supervised == 0:  # a document of one token: nothing stands before it that could predict it
        raise Refusal("nothing supervised", "nothing stands before the only token, so there is nothing to learn from")
    return layout


def unroll(conversation: Conversation, template: ChatTemplate) -> list[Conversation]:
    """The conversation, and for each answer that its sequence cannot teach, one that ends with it and teaches it alone.

    So every answer is learned behind what its prompt has, also where a template drops the thoughts of earlier answers.

    Args:
        conversation: What is to be learned.
        template: Writes it.

    Raises:
        Refusal: The template refuses the turns, or regions cannot be written.
        DataError: It has regions of a picture whose size cannot be read.
    """
    try:
        numbers = template.untaught(in_pixels(conversation.messages))
    except TemplateRefusal as error:
        raise Refusal("chat template", str(error)) from None
    except ValueError as error:
        raise Refusal("regions", str(error)) from None
    given = tuple(replace(message, supervised=False) for message in conversation.messages)
    teaching = any(
        message.role == "assistant" and message.supervised and number not in numbers
        for number, message in enumerate(conversation.messages)
    )
    whole = [conversation] if teaching or not numbers else []
    return whole + [
        replace(conversation, messages=(*given[:number], conversation.messages[number])) for number in numbers
    ]


def in_pixels(messages: Sequence[Message]) -> list[Message]:
    """The messages with each region in the pixels of its picture: the one shown last before it, else the first.

    Regions may come in any frame (shares, thousandths). Where they are in the square that an encoder sees depends on the
    shape of the picture, which only its own frame has: whoever writes or decodes regions is given that one.

    Raises:
        DataError: The size of a picture with regions cannot be read.
    """
    picture = next((part for message in messages for part in message.parts if isinstance(part, Image)), None)
    found = []
    for message in messages:
        parts = list(message.parts)
        for place, part in enumerate(parts):
            if isinstance(part, Image):
                picture = part
            elif isinstance(part, Region) and picture is not None:
                parts[place] = part.to(picture.frame)
        found.append(replace(message, parts=tuple(parts)))
    return found


def _teaches(message: Message) -> bool:
    said = bool(message.text.strip()) or bool(message.regions)
    return message.role in ("assistant", "document") and message.supervised and said


def _write(
    messages: list[Message],
    template: ChatTemplate,
    media_tokens: Callable[[Medium], int],
    placeholder: int,
    reply: bool,
) -> tuple[list[int], list[int], list[Span], list[tuple[int, Region]]]:
    ids: list[int] = []
    labels: list[int] = []
    spans: list[Span] = []
    regions: list[tuple[int, Region]] = []
    texts = (message.text for message in messages for _ in message.media)
    try:
        pieces = template.pieces(messages, reply)
    except TemplateRefusal as error:
        raise Refusal("chat template", str(error)) from None
    except ValueError as error:
        raise Refusal("regions", str(error)) from None
    for piece in pieces:
        if piece.region is not None:
            if not any(isinstance(span.medium, Image) for span in spans):
                raise Refusal("regions", "it has a region before any picture, so nobody knows of what")
            regions.append((len(ids), piece.region))
        if piece.medium is not None:
            length = media_tokens(piece.medium)
            spans.append(Span(len(ids), length, piece.medium, next(texts)))
            ids += [placeholder] * length
            labels += [IGNORE] * length
        else:
            ids += piece.ids
            labels += piece.ids if piece.supervised else [IGNORE] * len(piece.ids)
    return ids, labels, spans, regions


def _drop_oldest_turn(messages: list[Message], regions: RegionWriter | None) -> list[Message] | None:
    """Without the oldest turn (all up to the user's second question); None when only one turn is left.

    What a call found is said by the user, but stays and goes with its question: without it, nobody would know who asked.
    """
    if messages[0].role == "document":
        return messages[1:] or None
    head = messages[:1] if messages[0].role == "system" else []
    starts = [i for i, message in enumerate(messages) if message.role == "user"]
    if isinstance(regions, Unfolder):
        starts = [i for i in starts if not (i and regions.continues(messages[i - 1]))]
    if len(starts) < 2:
        return None
    second = starts[1]
    media = tuple(medium for message in messages[len(head) : second] for medium in message.media)
    oldest = replace(messages[second], parts=media + messages[second].parts)
    return [*head, oldest, *messages[second + 1 :]]
