"""A trained run as a responder, by what it writes or by how likely it holds each option."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from triptych.conversation import Conversation
from triptych.generate.config import GenerationSettings, Reply, Responder

if TYPE_CHECKING:
    from triptych.generate.likelihood import OptionScore


class RunResponder:
    """The trained model of a run.

    Args:
        run: Its folder.

    Raises:
        WeightsError: The folder is no finished run.
        RecipeError: Its model answers nothing.
    """

    def __init__(self, run: Path) -> None:
        from triptych.api import load

        model = load(run)
        self.fingerprint = model.fingerprint
        self._model = model.require("answers", str(run))

    def respond(self, conversations: Sequence[Conversation], settings: GenerationSettings) -> list[Reply]:
        """See `Responder`."""
        replies: list[Reply] = self._model.respond(conversations, settings)
        return replies

    def by_likelihood(self, by: str) -> Responder:
        """The same model, taking the likeliest of each question's options."""
        from triptych.generate.likelihood import LikelihoodResponder

        return LikelihoodResponder(self._model.generator, by)

    def option_scores(
        self, conversations: Sequence[Conversation], options: Sequence[Sequence[str]]
    ) -> list[list[OptionScore]]:
        """How likely each of its options is as the reply to each conversation.

        Raises:
            GenerationError: An option is empty, or the model's cache cannot be repeated.
        """
        from triptych.generate.likelihood import option_scores

        return option_scores(self._model.generator, conversations, options)
