"""Grounding by calls: the model writes what to look for, the detector looks, the model reads what was found.

picture, expression ─► language model ─► call ─► detector ─► selector ─► regions ─┐
                              ▲                                                   │ a user's turn
                              └───────────────────────────────────────────────────┘ ─► answer
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from triptych.conversation import Conversation, Image, Message, assistant, user
from triptych.conversation.expression import DESCRIBE
from triptych.generate.config import Responder
from triptych.grounding.calls import Call, Reading, read_calls
from triptych.grounding.config import CallRegionsConfig
from triptych.grounding.detectors.build import build_detector
from triptych.grounding.detectors.detector import Detection, Detector
from triptych.grounding.grounding import Grounding, Verdict, request, says_none
from triptych.grounding.unfold import CallRegions

if TYPE_CHECKING:
    from triptych.grounding.detectors.sam_masks import SamMasks


@dataclass(frozen=True)
class Exchange:
    """What came of one question.

    Args:
        messages: What was said after it: the call, what was found, the answer; the last one holds the regions.
        found: The regions that are meant, with scores.
        reading: What the first answer turned out to be.
    """

    messages: tuple[Message, ...]
    found: tuple[Detection, ...]
    reading: Reading

    @property
    def verdict(self) -> Verdict:
        """Of the call; `none` for one that was sound and found nothing."""
        return "none" if self.reading.verdict == "valid" and not self.found else self.reading.verdict

    def grounding(self, text: str, verdict: Verdict) -> Grounding:
        """What was found, with these words."""
        regions, scores = (tuple(one.region for one in self.found), tuple(one.score for one in self.found))
        return Grounding(regions, scores, text, verdict)


class CallGrounder:
    """A model that calls a detector (`Grounder`, `Describer`).

    Args:
        responder: The model that answers.
        detector: Who looks.
        config: What the recipe says.
        masks: Cuts masks out of the boxes that are meant, where they are wanted.
    """

    caption_prompt = DESCRIBE

    def __init__(
        self, responder: Responder, detector: Detector, config: CallRegionsConfig, masks: SamMasks | None = None
    ) -> None:
        self.responder, self.detector, self.config, self.masks = responder, detector, config, masks
        self.writer = CallRegions(config)

    @classmethod
    def from_config(cls, responder: Responder, config: CallRegionsConfig, base: Path | None = None) -> CallGrounder:
        """Load the detector (and SAM, where masks are wanted) that a recipe names.

        Args:
            responder: The model that answers.
            config: What the recipe says.
            base: The folder that relative paths start from: the recipe's.

        Raises:
            WeightsError: Weights cannot be had or do not fit.
        """
        detector = build_detector(config.detector, base)
        if config.masks is None:
            return cls(responder, detector, config)
        from triptych.grounding.detectors.sam_masks import SamMasks

        return cls(responder, detector, config, SamMasks.from_config(config.masks, base))

    @property
    def prompt(self) -> str:
        """See `Grounder.prompt`."""
        return self.config.prompt

    def ground(self, image: Image, expression: str) -> Grounding:
        """See `Grounder.ground`."""
        return self.ground_many([(image, expression)])[0]

    def ground_many(self, pairs: Sequence[tuple[Image, str]]) -> list[Grounding]:
        """See `Grounder.ground_many`."""
        asked = [request((self.prompt,), image, expression) for image, expression in pairs]
        answers = []
        for exchange in self.converse(asked):
            silent = exchange.verdict == "none" and not exchange.reading.calls and not says_none(exchange.reading.value)
            text = "\n".join(self._shown(message) for message in exchange.messages)
            answers.append(exchange.grounding(text, "invalid" if silent else exchange.verdict))
        return answers

    def describe_many(self, images: Sequence[Image]) -> list[Grounding]:
        """See `Describer.describe_many`. The phrases are those that the model called the detector for."""
        exchanges = self.converse([Conversation((user(image, self.caption_prompt),)) for image in images])
        return [exchange.grounding(exchange.messages[-1].text, exchange.verdict) for exchange in exchanges]

    def converse(self, conversations: Sequence[Conversation]) -> list[Exchange]:
        """Answer conversations about pictures, each of which ends with a user's message; calls are carried out.

        Raises:
            GenerationError: One cannot be answered.
            DataError: A picture cannot be read.
        """
        replies = self.responder.respond(conversations, self.config.generation)
        readings = [read_calls(reply.text, self.config.name) for reply in replies]
        pictures = [list(conversation.images)[-1:] for conversation in conversations]
        found = self._look(pictures, readings)
        said = [assistant(reply.text) for reply in replies]
        continued = {
            i: (
                said[i],
                self.writer.results(
                    [(phrase, [one.region for one in chosen]) for phrase, chosen in found[i]],
                    conversations[i].messages[-1].text,
                ),
            )
            for i, reading in enumerate(readings)
            if reading.calls and pictures[i]
        }
        answers: dict[int, str] = {}
        if self.config.answer and continued:
            again = [conversations[i].then(*messages) for i, messages in continued.items()]
            last = self.responder.respond(again, self.config.generation)
            answers = {i: reply.text for i, reply in zip(continued, last, strict=True)}
        return [
            self._exchange(said[i], continued.get(i), answers.get(i), found[i], reading)
            for i, reading in enumerate(readings)
        ]

    def _exchange(
        self,
        said: Message,
        continued: tuple[Message, Message] | None,
        answer: str | None,
        found: Sequence[tuple[str, Sequence[Detection]]],
        reading: Reading,
    ) -> Exchange:
        if continued is None:
            return Exchange((said,), (), reading)
        chosen = tuple(one for _, group in found for one in group)
        if answer is None:
            return Exchange(continued, chosen, reading)
        last = read_calls(answer, self.config.name)
        words = (last.value if answer.lstrip().startswith("{") else answer).strip()
        if says_none(words):
            chosen = ()
        message = assistant(words, *(one.region for one in chosen))
        return Exchange((*continued, message), chosen, reading)

    def _look(
        self, pictures: Sequence[Sequence[Image]], readings: Sequence[Reading]
    ) -> list[list[tuple[str, list[Detection]]]]:
        """What each conversation's calls find: phrases with boxes.

        Phrases of different conversations are never put to the detector together: to most, a box is what it looks like
        best, so that the company of a phrase decides what is found for it.
        """
        asked: list[tuple[str, tuple[str, ...]]] = []
        wanted: dict[tuple[str, tuple[str, ...]], tuple[Image, tuple[str, ...]]] = {}
        for picture, reading in zip(pictures, readings, strict=True):
            phrases = tuple(dict.fromkeys(phrase for call in reading.calls for phrase in call.wanted))
            asked.append((picture[0].content_hash if picture else "", phrases))
            if picture and phrases:
                wanted[asked[-1]] = picture[0], phrases
        detections = self.detector.detect_many([image for image, _ in wanted.values()], [p for _, p in wanted.values()])
        seen = dict(zip(wanted, detections, strict=True))
        answers = []
        for picture, reading, key in zip(pictures, readings, asked, strict=True):
            here = seen.get(key, [])
            groups = [group for call in reading.calls for group in choose(call, here)]
            answers.append([(phrase, self._cut(picture[0], chosen)) for phrase, chosen in groups] if picture else [])
        return answers

    def _cut(self, picture: Image, chosen: list[Detection]) -> list[Detection]:
        """Boxes with masks, where these are wanted."""
        if self.masks is None:
            return chosen
        regions = self.masks.mask(picture, [one.region for one in chosen])
        return [Detection(region, one.score) for region, one in zip(regions, chosen, strict=True)]

    def _shown(self, message: Message) -> str:
        return "".join(part for part in self.writer.write(message.parts, True) if isinstance(part, str))


def choose(call: Call, found: Sequence[Detection]) -> list[tuple[str, list[Detection]]]:
    """The boxes that a call means, by phrase of its caption."""
    selector = call.selector
    others = [one for one in found if one.region.name == selector.other] if selector.other else []
    chosen = []
    for phrase in call.phrases:
        own = [one for one in found if one.region.name == phrase]
        chosen.append((phrase, [_renamed(one, phrase) for one in selector.choose(own, others)]))
    return chosen


def _renamed(detection: Detection, phrase: str) -> Detection:
    return Detection(replace(detection.region, name=phrase), detection.score)
