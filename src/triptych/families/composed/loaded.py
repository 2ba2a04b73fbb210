"""A trained composed model."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from triptych.api import Model
from triptych.conversation import Conversation, Medium, Part, user
from triptych.families.composed.config import composed
from triptych.families.composed.grounding import build_grounder, fingerprint_of, settings_of
from triptych.generate.config import GenerationSettings, Reply
from triptych.generate.generator import Generator
from triptych.grounding.grounding import Grounder
from triptych.model.composed import MultimodalModel
from triptych.recipe import Recipe


class Assistant(Model):
    """A trained composed model, which answers.

    Args:
        model: The composed model.
        recipe: What it was trained by.
        fingerprint: A hash of what was trained and of the recipe's model.
    """

    model: MultimodalModel

    def __init__(self, model: MultimodalModel, recipe: Recipe, fingerprint: str) -> None:
        super().__init__(model, recipe, fingerprint)
        self.generator = Generator(model)

    def refusal(self, name: str) -> str:
        """See `Capable.refusal`."""
        match name:
            case "grounds":
                return (
                    "the model does not point: its recipe has no `model.regions`. Train one that has "
                    "(`model.regions: {kind: text}`, `{kind: embedding}` or `{kind: call}`), for example "
                    "`triptych train kosmos-2-mini`"
                )
            case "pools":
                return "the model has no encoder whose features could be had (`model.encoders`)"
            case "embeds" | "matches":
                return "only a model of `kind: dual` puts pictures and texts in one space"
        return super().refusal(name)

    def grounder(self, settings: GenerationSettings | None = None) -> Grounder:
        """See `Grounds.grounder`."""
        return build_grounder(self, settings)

    def pointing_settings(self) -> GenerationSettings:
        """See `Grounds.pointing_settings`."""
        return settings_of(composed(self.recipe).regions)

    def pointing_fingerprint(self) -> str:
        """See `Grounds.pointing_fingerprint`."""
        return fingerprint_of(self)

    def ask(self, *parts: Part, settings: GenerationSettings | None = None) -> str:
        """One question, one answer: `model.ask(Image("cat.png"), "What is this?")`."""
        return self.respond([Conversation((user(*parts),))], settings)[0].text

    def respond(self, conversations: Sequence[Conversation], settings: GenerationSettings | None = None) -> list[Reply]:
        """One reply per conversation, in order; each conversation ends with a user's message."""
        return self.generator.respond(conversations, settings)

    def stream(self, conversation: Conversation, settings: GenerationSettings | None = None) -> Iterator[str]:
        """A reply piece by piece."""
        return self.generator.stream(conversation, settings)

    def features(self, media: Sequence[Medium]) -> np.ndarray[Any, np.dtype[np.float32]]:
        """Mean features `[N, D_enc]` of media of one modality, by its encoder."""
        import torch

        encoder = self.model.encoder(media[0].modality)
        rows = []
        with torch.inference_mode():
            for start in range(0, len(media), 32):
                prepared = [encoder.prepare(medium) for medium in media[start : start + 32]]
                rows += [feature.float().mean(dim=0).cpu().numpy() for feature in encoder.encode(prepared)]
        return np.stack(rows)
