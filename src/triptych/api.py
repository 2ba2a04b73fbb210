"""The Python API: `load` a model and let it answer."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from triptych.conversation import Conversation, Image, Part, user
from triptych.data.features import FeatureCache, encode_missing
from triptych.generate.config import GenerationSettings, Reply
from triptych.generate.generator import Generator
from triptych.model.blip2 import Blip2
from triptych.model.composed import MultimodalModel
from triptych.model.detector import OpenVocabularyDetector
from triptych.model.dual import DualEncoder
from triptych.recipe import Recipe

M = TypeVar("M", MultimodalModel, DualEncoder, Blip2, OpenVocabularyDetector)


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

    def text_features(self, texts: Sequence[str]) -> NDArray[np.floating[Any]]:
        """Features `[N, D']` of texts that no picture had a part in: a frozen language model's, or counts of tokens."""
        return self.model.text_features(texts).numpy()

    def similarity(self, pictures: Sequence[Image], texts: Sequence[str]) -> NDArray[np.floating[Any]]:
        """Cosines `[N, M]` of N pictures with M texts."""
        return self.images(pictures) @ self.texts(texts).T


class Matcher:
    """A trained first stage of BLIP-2: pictures and texts in one space, pairs judged together, and captions.

    Args:
        model: The Q-Former with its frozen encoder, whose features of pictures are kept in the cache on disk.
        recipe: What it was trained by.
        fingerprint: A hash of what was trained and of the recipe's model.
    """

    def __init__(self, model: Blip2, recipe: Recipe, fingerprint: str) -> None:
        self.model, self.recipe, self.fingerprint = model, recipe, fingerprint

    def images(self, pictures: Sequence[Image]) -> NDArray[np.floating[Any]]:
        """Directions `[N, Q, E]` of what the queries found in pictures, each of length one."""
        import torch

        found = [self.model.read_pictures(self.model.look(part))[0].cpu() for part in self._parts(pictures)]
        return torch.cat(found).numpy()

    def texts(self, texts: Sequence[str]) -> NDArray[np.floating[Any]]:
        """Directions `[N, E]` of texts, of length one."""
        return self.model.embed_texts(texts).numpy()

    def features(self, pictures: Sequence[Image]) -> NDArray[np.floating[Any]]:
        """Mean features `[N, D]` of the frozen encoder."""
        return np.concatenate([part.float().mean(dim=1).cpu().numpy() for part in self._parts(pictures)])

    def text_features(self, texts: Sequence[str]) -> NDArray[np.floating[Any]]:
        """How often each text has each token; no picture had a part in it."""
        return self.model.counted(texts).numpy()

    def similarity(self, pictures: Sequence[Image], texts: Sequence[str]) -> NDArray[np.floating[Any]]:
        """Cosines `[N, M]` of N pictures with M texts: that of the query that comes nearest."""
        found: NDArray[np.floating[Any]] = (self.images(pictures) @ self.texts(texts).T).max(axis=1)
        return found

    @property
    def sharpness(self) -> float:
        """What cosines are multiplied with before they are compared: the learned inverse temperature."""
        return float(self.model.logit_scale.detach().exp())

    def matches(
        self, pictures: Sequence[Image], texts: Sequence[str], pairs: NDArray[np.integer[Any]], batch_size: int = 256
    ) -> NDArray[np.floating[Any]]:
        """The log-odds `[P]` that picture and text of a pair belong together, read together.

        Args:
            pictures: N of them.
            texts: M of them.
            pairs: `[P, 2]`, numbers of a picture and a text.
            batch_size: Pairs at a time.
        """
        import torch

        odds = np.empty(len(pairs), dtype=np.float32)
        order = np.argsort(pairs[:, 0], kind="stable")
        with torch.inference_mode():
            for start in range(0, len(order), batch_size):
                rows = order[start : start + batch_size]
                own, place = np.unique(pairs[rows, 0], return_inverse=True)
                seen = self.model.look(torch.cat(list(self._parts([pictures[i] for i in own]))))
                index = torch.from_numpy(place).to(self.model.device)
                looks = [None if layer is None else (layer[0][index], layer[1][index]) for layer in seen]
                logits = self.model.match(looks, *self.model.words([texts[i] for i in pairs[rows, 1]])).cpu()
                odds[rows] = (logits[:, 1] - logits[:, 0]).numpy()
        return odds

    def caption(self, pictures: Sequence[Image]) -> list[str]:
        """What the Q-Former itself writes about pictures, the likeliest word at each place."""
        return [text for part in self._parts(pictures) for text in self.model.caption(part)]

    def _parts(self, pictures: Sequence[Image], size: int = 64) -> Iterator[Any]:
        """Features `[N, T, D]`, some pictures at a time; each is encoded once, ever."""
        import torch

        encoder = self.model.encoder
        cache = FeatureCache.of(encoder.fingerprint) if self.recipe.loading.cache_features else None
        for start in range(0, len(pictures), size):
            part = pictures[start : start + size]
            with torch.inference_mode():
                if cache is None:
                    yield self.model.features(torch.stack([encoder.prepare(picture) for picture in part]))
                    continue
                for failure in encode_missing(part, encoder, cache).values():
                    raise failure
                found = [cache.get(picture.content_hash) for picture in part]
                yield self.model.features(torch.stack([one for one in found if one is not None]))


def load(run: str | Path) -> Model:
    """The trained model of a run, which answers.

    Raises:
        WeightsError: The folder is no finished run, or its weights cannot be found.
        RecipeError: It holds a dual encoder, which answers nothing: see `load_dual` and `triptych match`.
    """
    from triptych.model.build import load_run

    folder = Path(run)
    model, recipe = load_run(folder)
    return Model(placed(model), recipe, fingerprint_of(folder, recipe))


def load_dual(run: str | Path) -> Dual:
    """The trained dual encoder of a run.

    Raises:
        WeightsError: The folder is no finished run, or its weights cannot be found.
        RecipeError: Its model is of another kind.
    """
    from triptych.model.build import load_dual_run

    folder = Path(run)
    model, recipe = load_dual_run(folder)
    return Dual(placed(model), recipe, fingerprint_of(folder, recipe))


def load_matcher(run: str | Path) -> Matcher:
    """The trained first stage of BLIP-2 of a run.

    Raises:
        WeightsError: The folder is no finished run, or its weights cannot be found.
        RecipeError: Its model is of another kind.
    """
    from triptych.model.build import load_blip2_run

    folder = Path(run)
    model, recipe = load_blip2_run(folder)
    return Matcher(placed(model), recipe, fingerprint_of(folder, recipe))


def placed(model: M) -> M:
    """A model where it computes: on the accelerator, if there is one."""
    import torch

    return model.to("cuda") if torch.cuda.is_available() else model


def fingerprint_of(folder: Path, recipe: Recipe) -> str:
    """A hash of what a run trained and of its recipe's model."""
    from triptych.weights import file_sha256

    made_of = file_sha256(folder / "weights" / "model.safetensors") + recipe.model.model_dump_json()
    return hashlib.sha256(made_of.encode()).hexdigest()[:16]
