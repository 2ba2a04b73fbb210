"""A model that points in words: its answer is read by the format that it was trained to write, and moved to the picture."""

from __future__ import annotations

from collections.abc import Sequence

from triptych.conversation import NORMALISED, Conversation, Frame, Image, Region, user
from triptych.encoders.preparation import ImagePreparation
from triptych.generate.config import GenerationSettings, Responder
from triptych.grounding.config import TextRegionsConfig
from triptych.grounding.formats.build import build_format
from triptych.grounding.grounding import Grounding, answering, request
from triptych.grounding.introduce import from_input
from triptych.language.regions import spoken


class TextGrounder:
    """A model that writes regions as text (`Grounder`, `Describer`).

    Args:
        responder: The model that answers.
        config: What the recipe says.
        preparation: How its encoder sees pictures, where coordinates are relative to that (`frame: input`).
        settings: How answers are decoded.
    """

    def __init__(
        self,
        responder: Responder,
        config: TextRegionsConfig,
        preparation: ImagePreparation | None = None,
        settings: GenerationSettings | None = None,
    ) -> None:
        self.responder, self.config, self.settings = responder, config, settings or GenerationSettings()
        self.preparation = preparation if config.frame == "input" else None
        self.format = build_format(config)
        self._prompt, self._caption_prompt = (
            spoken(prompt, self.format.tokens) for prompt in (config.prompt, config.caption_prompt)
        )

    @property
    def prompt(self) -> str:
        """See `Grounder.prompt`."""
        return self.config.prompt

    @property
    def caption_prompt(self) -> str:
        """See `Describer.caption_prompt`."""
        return self.config.caption_prompt

    def ground(self, image: Image, expression: str) -> Grounding:
        """See `Grounder.ground`."""
        return self.ground_many([(image, expression)])[0]

    def ground_many(self, pairs: Sequence[tuple[Image, str]]) -> list[Grounding]:
        """See `Grounder.ground_many`."""
        asked = [self.request(image, expression) for image, expression in pairs]
        return [answering(found) for found in self.converse(asked)]

    def describe_many(self, images: Sequence[Image]) -> list[Grounding]:
        """See `Describer.describe_many`."""
        return self.converse([self.caption_request(image) for image in images])

    def request(self, image: Image, expression: str) -> Conversation:
        """The question for an expression, tags of the prompt as tokens; raises GenerationError where it has no words."""
        return request(self._prompt, image, expression)

    def caption_request(self, image: Image) -> Conversation:
        """The question for a grounded caption."""
        return Conversation((user(image, *self._caption_prompt),))

    def converse(self, conversations: Sequence[Conversation]) -> list[Grounding]:
        """Answer conversations about pictures; regions are of the picture shown last, in its pixels.

        Raises:
            GenerationError: One cannot be answered.
            DataError: A picture cannot be read.
        """
        replies = self.responder.respond(conversations, self.settings)
        return [self.read(reply.text, [*c.images][-1]) for c, reply in zip(conversations, replies, strict=True)]

    def read(self, text: str, image: Image) -> Grounding:
        """The regions of an answer about a picture, clipped to it."""
        parsed = self.format.parse(text)
        if not parsed.regions:
            return Grounding((), text=text, verdict=parsed.verdict, reason=parsed.reason)
        width, height = image.open().size
        regions = tuple(self._placed(region, width, height) for region in parsed.regions)
        return Grounding(regions, text=text, verdict=parsed.verdict)

    def _placed(self, region: Region, width: int, height: int) -> Region:
        if self.preparation is None:
            return region.to(Frame(width, height)).clip()
        return from_input(self.preparation, region.to(NORMALISED), width, height)
