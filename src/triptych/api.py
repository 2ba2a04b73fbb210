"""The Python API: `load` a model and let it answer."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from pathlib import Path

from triptych.conversation import Conversation, Part, user
from triptych.generate.config import GenerationSettings, Reply
from triptych.generate.generator import Generator
from triptych.model.composed import MultimodalModel
from triptych.recipe import Recipe


class Model:
    """A trained model that answers.

    Args:
        model: The composed model.
        recipe: What it was trained by.
        fingerprint: A hash of what was trained and of the recipe's model.
    """

    def __init__(self, model: MultimodalModel, recipe: Recipe, fingerprint: str) -> None:
        self.model, self.recipe, self.fingerprint = model, recipe, fingerprint
        self.generator = Generator(model)

    def ask(self, *parts: Part, settings: GenerationSettings | None = None) -> str:
        """One question, one answer: `model.ask(Image("cat.png"), "What is this?")`."""
        return self.respond([Conversation((user(*parts),))], settings)[0].text

    def respond(self, conversations: Sequence[Conversation], settings: GenerationSettings | None = None) -> list[Reply]:
        """One reply per conversation, in order; each conversation ends with a user's message."""
        return self.generator.respond(conversations, settings)

    def stream(self, conversation: Conversation, settings: GenerationSettings | None = None) -> Iterator[str]:
        """A reply piece by piece."""
        return self.generator.stream(conversation, settings)


def load(run: str | Path) -> Model:
    """The trained model of a run.

    Raises:
        WeightsError: The folder is no finished run, or its weights cannot be found.
    """
    import torch

    from triptych.model.build import load_run
    from triptych.weights import file_sha256

    folder = Path(run)
    model, recipe = load_run(folder)
    if torch.cuda.is_available():
        model.to("cuda")
    made_of = file_sha256(folder / "weights" / "model.safetensors") + recipe.model.model_dump_json()
    return Model(model, recipe, hashlib.sha256(made_of.encode()).hexdigest()[:16])
