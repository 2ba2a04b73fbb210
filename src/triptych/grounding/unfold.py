"""Conversations with regions as conversations with calls, to learn from.

    user       Find the cup above the dog.            user       Find the cup above the dog.
    assistant  cup ▢                          ──►     assistant  {"actions": [… "cup" … "above the dog" …]}
                                                      user       detector: cup [0.41, 0.08, 0.57, 0.27]
                                                      assistant  cup

The detector's turn shows the true regions: what is learned is to ask and to go on, not to guess boxes.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from triptych.conversation import Conversation, Medium, Message, Region, assistant, user
from triptych.conversation.conversation import Part
from triptych.conversation.expression import NONE, Expression
from triptych.grounding.calls import Call, read_calls, write_answer, write_calls
from triptych.grounding.config import CallRegionsConfig
from triptych.grounding.expression_calls import undotted, write_call_of
from triptych.grounding.grounding import says_none
from triptych.language.regions import Token

THOUGHTS = "I have to find {caption} in the picture, so I call {name}."
VALUE = "Let me look for {caption}."
SUMMARY = "\n\nPlease summarize the model outputs and answer my first question: {question}"
FOUND = "I have read what {name} found."
HERE = "here"


class CallRegions:
    """Writes conversations with regions as conversations with calls (`RegionWriter` and `Unfolder`).

    Args:
        config: What the recipe says.
    """

    tokens: tuple[str, ...] = ()

    def __init__(self, config: CallRegionsConfig) -> None:
        self.config = config

    def write(self, parts: Sequence[Part], answer: bool) -> list[str | Token | Medium]:  # noqa: ARG002 - alike in both
        """The parts with regions as four decimals in brackets: `[0.41, 0.08, 0.57, 0.27]`."""
        return [self.numbers(part) if isinstance(part, Region) else part for part in parts]

    def numbers(self, region: Region) -> str:
        """A box as shares of its picture."""
        box = (min(1.0, max(0.0, value)) for value in region.normalised)
        return f"[{', '.join(f'{value:.{self.config.decimals}f}' for value in box)}]"

    def unfold(self, conversation: Conversation) -> Conversation:
        """The conversation with a call, its result and the answer in place of each answer that asks for regions.

        Which these are is told by `annotations["grounding"]`: expressions, in order, of which each is in the question and
        has the answer's regions (or is answered that there is none). Other answers are unfolded where they have regions.
        What is unfolded already stays so.
        """
        expected = list(conversation.annotations.get("grounding", ()))
        messages: list[Message] = []
        asked, called = "", False  # the question, and whether it has been answered with a call
        for message in conversation.messages:
            if message.role != "assistant":
                asked = asked if called else message.text
                messages.append(message)
                continue
            if called:  # the answer to what a call found
                messages.append(assistant(message.text, supervised=message.supervised))
                called = False
                continue
            called = self.continues(message)
            place = next((i for i, one in enumerate(expected) if not called and answers(message, asked, one)), None)
            expression = expected[place] if place is not None else None
            expected = expected[place + 1 :] if place is not None else expected
            if called or (expression is None and not message.regions):
                messages.append(message)
            else:
                messages += self.turns(message, asked, expression)
        return replace(conversation, messages=tuple(messages))

    def continues(self, message: Message) -> bool:
        """Whether a message calls somebody, so that the user's next one is no question but what was found."""
        return message.role == "assistant" and bool(read_calls(message.text, self.config.name).calls)

    def turns(self, message: Message, question: str, expression: Expression | None) -> list[Message]:
        """An answer with regions as a call, its result, and an answer in words."""
        if expression is not None:
            call = self.call_of(expression)
            found = results_of(call, expression.regions)
        else:
            found = named(message.regions)
            call = Call(self.config.name, ". ".join(dict.fromkeys(name for name, _ in found)))
        words = message.text.strip() or (HERE if found else NONE)
        written = self.called([call])
        return [
            replace(message, parts=(written,)),
            self.results(found, question),
            assistant(self.answered(words), supervised=message.supervised),
        ]

    def call_of(self, expression: Expression) -> Call:
        """What is asked of the detector for an expression, in agreement with its regions."""
        if not self.config.select:
            return Call(self.config.name, undotted(expression.text))
        return Call(self.config.name, *write_call_of(expression.text, expression.regions))

    def called(self, calls: list[Call]) -> str:
        """Calls as the model writes them."""
        about = {"caption": ", ".join(call.caption for call in calls), "name": self.config.name}
        return write_calls(calls, self.config.style, thoughts=THOUGHTS.format(**about), value=VALUE.format(**about))

    def answered(self, words: str) -> str:
        """The last answer as the model writes it."""
        return write_answer(words, self.config.style, FOUND.format(name=self.config.name))

    def results(self, found: Sequence[tuple[str, Sequence[Region]]], question: str) -> Message:
        """What a detector found, as a user's turn: each phrase with its regions behind it."""
        full = self.config.style == "full"
        parts: list[Part] = [f"{self.config.name} output: " if full else f"{self.config.name}: "]
        shown = [(phrase, regions) for phrase, regions in found if regions]
        for number, (phrase, regions) in enumerate(shown):
            parts.append(f"{'; ' if number else ''}{phrase}")
            for region in regions:
                parts += [" ", region]
        if not shown:
            parts.append(NONE)
        return user(*parts, *([SUMMARY.format(question=question)] if full else []))


def answers(message: Message, question: str, expression: Expression) -> bool:
    """Whether a message is the answer to an expression that a question asks for."""
    same = [region.box for region in message.regions] == [region.box for region in expression.regions]
    return expression.text in question and same and (bool(expression.regions) or says_none(message.text))


def results_of(call: Call, regions: Sequence[Region]) -> list[tuple[str, Sequence[Region]]]:
    """True regions as the results of a call: by the names in its caption, as far as the regions' own names tell them apart."""
    if not regions:
        return []
    if len(call.phrases) > 1:
        results = named(regions)
        if {name for name, _ in results} <= set(call.phrases):
            return results
    return [(call.caption, regions)]


def named(regions: Sequence[Region]) -> list[tuple[str, Sequence[Region]]]:
    """Regions by their phrase, each phrase as the name that a call has for it."""
    return [(write_call_of(phrase, own)[0], own) for phrase, own in grouped(regions).items()]


def grouped(regions: Sequence[Region]) -> dict[str, tuple[Region, ...]]:
    """Regions by their phrase."""
    groups: dict[str, tuple[Region, ...]] = {}
    for region in regions:
        groups[region.name] = (*groups.get(region.name, ()), region)
    return groups
