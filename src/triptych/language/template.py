"""From messages to pieces of token ids, as the chat template writes them.

    messages ──► shapes ──► the template, rendered once per sequence of shapes with marks in place of what is said
             ──► atoms: glue · said · glue · …, each learned or not ──► stretches of text between control tokens and media
             ──► ids

What stands before an answer in training is what stands before it in a prompt, and what transformers makes of the same
messages: the ids of a stretch are those of its whole text, cut where an answer begins. Control tokens come from the template
alone; their names in what people say are text. Documents have no turns and get no template:

    document ──► beginning of text · text · medium · text · … · end of text
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from triptych.conversation import Conversation, Image, Medium, Message, Region, system
from triptych.conversation.conversation import Part
from triptych.errors import RecipeError
from triptych.language.regions import RegionWriter, Token
from triptych.language.template_check import check
from triptych.language.template_encode import THINK, Control, TextEncoder
from triptych.language.template_layout import Place, TemplateLayout
from triptych.language.template_render import TemplateRefusal, keywords
from triptych.language.template_shape import STOP, Content, Keywords, Shape, outline
from triptych.language.templates import PLAIN, resolve

__all__ = ["PLAIN", "ChatTemplate", "Piece", "TemplateRefusal"]


@dataclass(frozen=True)
class Piece:
    """Token ids or a medium, in the order in which they are read; `supervised` tokens are what training predicts.

    A piece of one token that stands for a region holds it.
    """

    ids: tuple[int, ...] = ()
    medium: Medium | None = None
    supervised: bool = False
    region: Region | None = None


@dataclass(frozen=True)
class _Text:
    """Text of a stretch; of an answer, whose message it names."""

    text: str
    answer: int | None = None
    closing: bool = False


@dataclass(frozen=True)
class _Hard:
    """What no token of text crosses: a control token, a token of a region, a medium."""

    piece: Piece
    answer: int | None = None
    lstrip: bool = False
    rstrip: bool = False


class ChatTemplate:
    """Writes conversations as pieces for one tokenizer.

    Args:
        tokenizer: A Hugging Face tokenizer.
        template: The name of a template (`triptych.language.templates`) or Jinja source instead of the tokenizer's own;
            `PLAIN` where there is none.
        system_prompt: Put in front of conversations without a system message; None leaves it to the template.
        regions: Writes the regions of messages, with tokens that the tokenizer knows; None where nobody does.

    Raises:
        RecipeError: There is no such template, it does not reproduce what is said, so that it cannot be followed, or
            transformers would make other tokens of it.
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
            self.template: str = resolve(template) or _own(tokenizer) or PLAIN
        except ValueError as error:
            raise RecipeError(str(error)) from None
        self.system_prompt = system_prompt
        self.drops_spaces = False
        self.regions = regions
        self.drops_spaces = self._crosses_spaces()
        self.regions = regions
        end, _ = self._layout.end_of_turn()
        self.end: tuple[int, ...] = self._end_ids(end)
        check(self, self._encoder.separator)

    @property
    def regions(self) -> RegionWriter | None:
        """Who writes regions. Set it once the tokenizer has its tokens: what the tokenizer knows is looked up again."""
        return self._regions

    @regions.setter
    def regions(self, writer: RegionWriter | None) -> None:
        self._regions = writer
        self._encoder = TextEncoder(self.tokenizer)
        self._layout = TemplateLayout(self.template, self._encoder, self.drops_spaces)
        try:
            every = keywords(self.template)
        except TemplateRefusal as error:
            raise RecipeError(f"the chat template cannot be read: {error}") from None
        # A user cannot reach the template's treatment of a token by writing its name.
        harmless = [word for word in every if not any(isinstance(p, Control) for p in self._encoder.split(word))]
        self._keywords = {
            True: Keywords(frozenset({*every, *THINK}), self._encoder.answer_names),
            False: Keywords(frozenset(harmless)),
        }

    def pieces(self, messages: Sequence[Message], reply: bool = False) -> list[Piece]:
        """The messages as pieces.

        Args:
            messages: What is said, or the stretches of one document.
            reply: End with the header of the assistant's answer instead of behind the last message; a document ends
                without its end-of-text token.

        Raises:
            TemplateRefusal: The template refuses these turns, or document and turns are mixed.
            ValueError: There are regions that cannot be written.
        """
        if any(message.role == "document" for message in messages):
            return self._document(messages, reply)
        return self._written(self._with_system(messages), reply)[0]

    def _written(self, messages: Sequence[Message], reply: bool) -> tuple[list[Piece], set[int]]:
        """The pieces of turns, and which answers are learned."""
        shapes, contents = self._outlined(messages)
        stream: list[_Text | _Hard] = []
        for atom in self._layout.layout(shapes, reply):
            answer = atom.answer if atom.answer is not None and messages[atom.answer].supervised else None
            if isinstance(atom.what, Place):
                said = contents[atom.what.message][atom.what.content]
                stream += self._said(said, messages[atom.what.message].role == "assistant", answer, atom.closing)
            elif isinstance(atom.what, Control):
                stream.append(_control(atom.what, answer))
            else:
                stream.append(_Text(atom.what, answer, atom.closing))
        last = len(messages) - 1 if not reply and messages and messages[-1].role == "assistant" else None
        return self._tokenised(stream, last)

    def writes(self, text: str) -> bool:
        """Whether the template writes a text of its own around a question about a picture."""
        return text in self._layout.text((Shape("user", (("media", Image.modality), ("text", ""))),), True)

    def untaught(self, messages: Sequence[Message]) -> tuple[int, ...]:
        """Numbers of the answers that are to be learned and that the sequence of all messages does not teach.

        A template that writes an answer otherwise once others follow it (without its thoughts, above all) has it in the
        sequence as later prompts have it; as it is said itself, it stands at the end of a sequence only. So does one whose
        first token would be joined with the end of its prompt.

        Raises:
            TemplateRefusal: The template refuses the turns.
            ValueError: There are regions that cannot be written.
        """
        if any(message.role == "document" for message in messages):
            return ()
        complete = self._with_system(messages)
        _, learned = self._written(complete, False)
        return tuple(
            number - (len(complete) - len(messages))
            for number, message in enumerate(complete)
            if message.role == "assistant" and message.supervised and _teaches(message) and number not in learned
        )

    def _with_system(self, messages: Sequence[Message]) -> Sequence[Message]:
        if self.system_prompt is not None and (not messages or messages[0].role != "system"):
            return [system(self.system_prompt), *messages]
        return messages

    def _outlined(self, messages: Sequence[Message]) -> tuple[tuple[Shape, ...], list[tuple[Content, ...]]]:
        outlined = []
        for message in messages:
            answer = message.role == "assistant"
            outlined.append(outline(message, self._without_regions(message.parts, answer), self._keywords[answer]))
        return tuple(shape for shape, _ in outlined), [contents for _, contents in outlined]

    def _said(self, said: Content, by_assistant: bool, answer: int | None, closing: bool) -> Iterable[_Text | _Hard]:
        """What a person or the assistant says, in its place; of tokens an answer may have those that are text to its readers."""
        if isinstance(said, Medium):
            yield _Hard(Piece(medium=said))
        elif isinstance(said, Token):
            id_ = int(self.tokenizer.convert_tokens_to_ids(str(said)))
            yield _Hard(Piece((id_,), region=said.region), answer)
        elif by_assistant:
            for part in self._encoder.split(said, answer=True):
                yield _control(part, answer) if isinstance(part, Control) else _Text(part, answer, closing)
        else:
            yield _Text(said, answer, closing)

    def _document(self, messages: Sequence[Message], reply: bool) -> list[Piece]:
        """A document as it stands between the tokenizer's own beginning and end of text: no template, no roles."""
        if any(message.role != "document" for message in messages):
            raise TemplateRefusal(
                "a conversation is a document or has turns, not both: a dialogue has no place for documents"
            )
        begin, end = self.tokenizer.bos_token_id, self.tokenizer.eos_token_id
        pieces: list[Piece] = []
        first = True
        for message in messages:
            for part in self._without_regions(message.parts, True):
                for piece in self._said(part, False, 0 if message.supervised else None, False):
                    if isinstance(piece, _Hard):
                        pieces.append(_learned(piece.piece, piece.answer is not None))
                    else:
                        pieces.append(Piece(self._encoder.encode(piece.text, first), supervised=message.supervised))
                    first = False
        pieces = [piece for piece in pieces if piece.ids or piece.medium is not None]
        if begin is not None:
            pieces.insert(0, Piece((begin,)))
        if not reply and end is not None:
            pieces.append(Piece((end,), supervised=messages[-1].supervised))
        return pieces

    def _without_regions(self, parts: Sequence[Part], answer: bool) -> list[Content]:
        """The parts with regions written as text and tokens.

        Raises:
            ValueError: There are regions, and nobody writes them, or one cannot be written.
        """
        if self.regions is not None:
            return self.regions.write(parts, answer)
        kept = [part for part in parts if not isinstance(part, Region)]
        if len(kept) < len(parts):
            raise ValueError("it has regions, and the model has no way to write them: set `model.regions`")
        return list(kept)

    def text(self, conversation: Conversation, reply: bool = False) -> str:
        """The conversation as one string for people to read, media as `<image>`."""
        messages = conversation.messages
        if any(message.role == "document" for message in messages):
            return "".join(_shown(part) for message in messages for part in self._without_regions(message.parts, True))
        shapes, contents = self._outlined(messages)
        names = {control.id: name for name, control in self._encoder.controls.items()}
        written = []
        for atom in self._layout.layout(shapes, reply):
            if isinstance(atom.what, Place):
                written.append(_shown(contents[atom.what.message][atom.what.content]))
            else:
                written.append(names[atom.what.id] if isinstance(atom.what, Control) else atom.what)
        return "".join(written)

    def _tokenised(self, stream: Sequence[_Text | _Hard], last: int | None) -> tuple[list[Piece], set[int]]:
        """Ids of a sequence, and which answers are learned.

        Args:
            stream: The sequence.
            last: The message that is its last answer; nobody reads on behind it, so its tokens may be cut at its ends.
        """
        labelled: list[tuple[Piece, int | None]] = []
        crossed: set[int] = set()
        stretch: list[_Text] = []
        before: _Hard | None = None
        for part in [*stream, None]:
            if isinstance(part, _Text):
                stretch.append(part)
                continue
            texts = _stripped(stretch, before is not None and before.rstrip, part is not None and part.lstrip)
            labelled += self._stretch(texts, not labelled, last, crossed)
            if part is not None:
                labelled.append((part.piece, part.answer))
            stretch, before = [], part
        learned = {answer for _, answer in labelled if answer is not None} - crossed
        pieces = [_learned(piece, answer in learned) for piece, answer in labelled]
        return [piece for piece in pieces if piece.ids or piece.medium is not None], learned

    def _stretch(
        self, texts: Sequence[_Text], first: bool, last: int | None, crossed: set[int]
    ) -> list[tuple[Piece, int | None]]:
        """Ids of text between control tokens and media. Earlier answers whose ends a token crosses are added to `crossed`."""
        parts: list[_Text] = []
        for text in texts:
            if parts and (parts[-1].answer, parts[-1].closing) == (text.answer, text.closing):
                parts[-1] = _Text(parts[-1].text + text.text, text.answer, text.closing)
            else:
                parts.append(text)
        until = next((i for i, part in enumerate(parts) if part.answer == last is not None), len(parts))
        head = parts[:until]
        if len(head) > 1 and not self._encoder.parted([part.text for part in head], first)[1]:
            crossed.update(part.answer for part in head if part.answer is not None)
            head = [_Text("".join(part.text for part in head))]
        parts = [*head, *parts[until:]]
        ids, _ = self._encoder.parted([part.text for part in parts], first)
        return [(Piece(piece), part.answer) for piece, part in zip(ids, parts, strict=True)]

    def _crosses_spaces(self) -> bool:
        """Whether prompts end with a space that would be one token with the first word of an answer, given both."""
        prompt = self._layout.text((Shape("user", (("text", ""),)),), True)
        pieces = self._encoder.split(prompt)
        tail = pieces[-1] if pieces and isinstance(pieces[-1], str) else ""
        tail = "a" + tail  # what stands before it does not matter, but that something does
        if not tail.endswith(" "):
            return False
        alone, whole = self._encoder.encode(tail, False), self._encoder.encode(tail + "A", False)
        return whole[: len(alone)] != alone

    def _end_ids(self, end: str) -> tuple[int, ...]:
        ids: list[int] = []
        for piece in self._encoder.split(end.replace(STOP, "")):
            ids += [piece.id] if isinstance(piece, Control) else self._encoder.encode(piece, False)
        return tuple(ids)


def _own(tokenizer: Any) -> str | None:
    """The tokenizer's template; of several by name, the one for conversations."""
    own = getattr(tokenizer, "chat_template", None)
    return own.get("default") if isinstance(own, dict) else own


def _teaches(message: Message) -> bool:
    return bool(message.text.strip() or message.regions)


def _control(control: Control, answer: int | None) -> _Hard:
    return _Hard(Piece((control.id,)), answer, control.lstrip, control.rstrip)


def _learned(piece: Piece, learned: bool) -> Piece:
    """A piece that is supervised, where it has tokens."""
    return Piece(piece.ids, piece.medium, learned and bool(piece.ids), piece.region)


def _shown(part: Content) -> str:
    return part if isinstance(part, str) else "<image>"


def _stripped(texts: Sequence[_Text], left: bool, right: bool) -> list[_Text]:
    """A stretch without the white space that control tokens at its ends take away."""
    texts = list(texts)
    for flag, order, strip in ((left, range(len(texts)), str.lstrip), (right, range(len(texts))[::-1], str.rstrip)):
        for i in order:
            if flag:
                texts[i] = _Text(strip(texts[i].text), texts[i].answer, texts[i].closing)
                flag = not texts[i].text
    return texts
