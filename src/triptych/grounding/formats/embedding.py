"""Regions as tokens whose hidden states are decoded (`triptych.decoders`), and, in questions, as embeddings of what they show."""

from __future__ import annotations

from collections.abc import Sequence

from triptych.conversation import Medium, Region
from triptych.conversation.conversation import Part
from triptych.decoders.config import ASKED, EmbeddingRegionsConfig
from triptych.language.regions import Token


class EmbeddingRegions:
    """Writes each region as one token (`triptych.language.regions.RegionWriter`).

    Args:
        config: The token of answers; whether there may be regions in questions.
    """

    def __init__(self, config: EmbeddingRegionsConfig) -> None:
        self.config = config

    @property
    def tokens(self) -> tuple[str, ...]:
        """The token of answers, and that of questions where they may have regions."""
        return (self.config.token, ASKED) if self.config.questions else (self.config.token,)

    def write(self, parts: Sequence[Part], answer: bool) -> list[str | Token | Medium]:
        """The parts, a token for each region.

        Raises:
            ValueError: There is a region in a question, and the recipe has no way to read it.
        """
        written: list[str | Token | Medium] = []
        for part in parts:
            if not isinstance(part, Region):
                written.append(part)
            elif answer:
                written.append(Token(self.config.token, part))
            elif self.config.questions:
                written.append(Token(ASKED, part))
            else:
                raise ValueError("a region in a question: set `model.regions.questions: true` to have it read")
        return written
