"""The Python API: `load` a model and let it answer."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from triptych.conversation import Conversation, Image, Part, user
from triptych.generate.config import GenerationSettings, Reply
from triptych.generate.generator import Generator
from triptych.model.composed import MultimodalModel
from triptych.model.dual import DualEncoder
from triptych.recipe import Recipe

M = TypeVar("M", MultimodalModel, DualEncoder)


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


class Dual:
    """A trained dual encoder: pictures and texts as directions in one space.

    Args:
        model: The two towers.
        recipe: What they were trained by.
        fingerprint: A hash of what was trained and of the recipe's model.
    """

    def __init__(self, model: DualEncoder, recipe: Recipe, fingerprint: str) -> None:
        self.model, self.recipe, self.fingerprint = model, recipe, fingerprint

    def images(self, pictures: Sequence[Image]) -> NDArray[np.floating[Any]]:
        """Directions `[N, E]` of pictures, of length one."""
        return self.model.embed_images(pictures).numpy()

    def texts(self, texts: Sequence[str]) -> NDArray[np.floating[Any]]:
        """Directions `[N, E]` of texts, of length one."""
        return self.model.embed_texts(texts).numpy()

    def features(self, pictures: Sequence[Image]) -> NDArray[np.floating[Any]]:
        """Pooled features `[N, D]` of pictures, before the projection."""
        return self.model.pooled_features(pictures).numpy()

    def similarity(self, pictures: Sequence[Image], texts: Sequence[str]) -> NDArray[np.floating[Any]]:
        """Cosines `[N, M]` of N pictures with M texts."""
        return self.images(pictures) @ self.texts(texts).T


def load(run: str | Path) -> Model:
    """The trained model of a run, which answers.

    Raises:
        WeightsError: The folder is no finished run, or its weights cannot be found.
        RecipeError: It holds a dual encoder, which answers nothing: see `load_dual`.
    """
    from triptych.model.build import load_run

    folder = Path(run)
    model, recipe = load_run(folder)
    return Model(_placed(model), recipe, _fingerprint(folder, recipe))


def load_dual(run: str | Path) -> Dual:
    """The trained dual encoder of a run.

    Raises:
        WeightsError: The folder is no finished run, or its weights cannot be found.
        RecipeError: Its model is of another kind.
    """
    from triptych.model.build import load_dual_run

    folder = Path(run)
    model, recipe = load_dual_run(folder)
    return Dual(_placed(model), recipe, _fingerprint(folder, recipe))


def _placed(model: M) -> M:
    import torch

    return model.to("cuda") if torch.cuda.is_available() else model


def _fingerprint(folder: Path, recipe: Recipe) -> str:
    from triptych.weights import file_sha256

    made_of = file_sha256(folder / "weights" / "model.safetensors") + recipe.model.model_dump_json()
    return hashlib.sha256(made_of.encode()).hexdigest()[:16]
