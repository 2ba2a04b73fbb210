"""Conversations with a model that points: what it says, and the regions that it means, whichever way it points."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from triptych.api import Model
from triptych.conversation import Conversation, Message, Region, assistant
from triptych.generate.config import GenerationSettings
from triptych.grounding.call_grounder import CallGrounder
from triptych.grounding.embedding_grounder import EmbeddingGrounder
from triptych.grounding.text_grounder import TextGrounder
from triptych.language.regions import spoken


@dataclass(frozen=True)
class Said:
    """One turn of a model that points.

    Args:
        messages: What continues the conversation.
        text: What is shown of it: its words.
        regions: What it means, in the pixels of the picture shown last.
    """

    messages: tuple[Message, ...]
    text: str
    regions: tuple[Region, ...]


def speak(model: Model, settings: GenerationSettings, write: Callable[[str], None]) -> Callable[[Conversation], Said]:
    """How a model that points answers a conversation.

    Args:
        model: The model.
        settings: How answers are decoded.
        write: Shows text as it comes.

    Raises:
        RecipeError: The model does not point.
        WeightsError: The detector that it calls cannot be had.
    """
    grounder = model.require("grounds", model.recipe.name).grounder(settings)

    def answer(conversation: Conversation) -> Said:
        if not any(True for _ in conversation.images):
            text = _written(model.stream(conversation, settings), write)
            return Said((assistant(text),), text, ())
        if isinstance(grounder, TextGrounder):
            # Not piece by piece: what is a coordinate and what a word is known when a region is complete.
            text = "".join(model.stream(conversation, settings))
            regions = grounder.read(text, [*conversation.images][-1]).regions
            shown = grounder.format.parse(text).words.strip() or ", ".join(region.name for region in regions) or text
            write(shown)
            return Said((assistant(*spoken(text, grounder.format.tokens)),), shown, regions)
        if isinstance(grounder, EmbeddingGrounder):
            (found,) = grounder.converse([conversation])
            shown = found.text.replace(grounder.config.token, "").strip()
            write(shown)
            return Said((assistant(*spoken(found.text, (grounder.config.token,))),), shown, found.regions)
        assert isinstance(grounder, CallGrounder)
        (exchange,) = grounder.converse([conversation])
        text = exchange.messages[-1].text
        write(text)
        return Said(exchange.messages, text, tuple(detection.region for detection in exchange.found))

    return answer


def _written(pieces: Iterable[str], write: Callable[[str], None]) -> str:
    text = ""
    for piece in pieces:
        write(piece)
        text += piece
    return text


def told(region: Region) -> str:
    """A region in a line: "dog: 12, 30 to 55, 80"."""
    left, top, right, bottom = (round(value) for value in region.box)
    return f"{region.name or 'region'}: {left}, {top} to {right}, {bottom}{', with a mask' if region.mask else ''}"
