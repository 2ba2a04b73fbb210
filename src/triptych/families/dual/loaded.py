"""A trained dual encoder."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from triptych.api import Model
from triptych.capabilities import Floats
from triptych.conversation import Image
from triptych.families.dual.model import DualEncoder


class Dual(Model):
    """A trained dual encoder: pictures and texts as directions in one space.

    Args:
        model: The two towers.
        recipe: What they were trained by.
        fingerprint: A hash of what was trained and of the recipe's model.
    """

    model: DualEncoder

    def instead(self, run: str) -> str:
        """See `Capable.instead`."""
        return (
            f'. What works: `triptych evaluate {run}`, `triptych match {run} --image PICTURE "a text" "another"`, and in Python '
            f'`triptych.load("{run}").similarity(pictures, texts)`; as the encoder of another recipe it helps a language model '
            "to answer (`weights: run:…`)"
        )

    def refusal(self, name: str) -> str:
        """See `Capable.refusal`."""
        if name == "answers":
            return f"a model of `kind: {self.kind}` compares pictures with texts and answers nothing"
        return super().refusal(name)

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

    def shares(self, cosines: Floats) -> Floats:
        """What the model makes of cosines `[N, M]` by its learned scale.

        With a bias (the sigmoid loss) how probable each match is; without one (the contrastive loss) how probable each text is,
        were the picture's text among these.
        """
        logits = float(self.model.logit_scale.detach().exp()) * cosines.astype(np.float64)
        if self.model.logit_bias is not None:
            probable: Floats = 1 / (1 + np.exp(-(logits + float(self.model.logit_bias.detach()))))
            return probable
        weights = np.exp(logits - logits.max(axis=1, keepdims=True))
        share: Floats = weights / weights.sum(axis=1, keepdims=True)
        return share

    @property
    def shares_are(self) -> str:
        """What `shares` are called."""
        return "of these texts" if self.model.logit_bias is None else "is a match"
