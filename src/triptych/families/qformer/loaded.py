"""A trained first stage of BLIP-2."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from triptych.api import Model
from triptych.conversation import Image
from triptych.data.features import FeatureCache, encode_missing
from triptych.families.qformer.model import Blip2


class Matcher(Model):
    """A trained first stage of BLIP-2: pictures and texts in one space, pairs judged together, and captions.

    Args:
        model: The Q-Former with its frozen encoder, whose features of pictures are kept in the cache on disk.
        recipe: What it was trained by.
        fingerprint: A hash of what was trained and of the recipe's model.
    """

    model: Blip2

    def instead(self, run: str) -> str:
        """See `Capable.instead`."""
        return (
            f". What works: `triptych evaluate {run}`; as the encoder of another recipe it helps a language model to answer "
            "(`weights: run:…`)"
        )

    def refusal(self, name: str) -> str:
        """See `Capable.refusal`."""
        if name == "answers":
            return f"a model of `kind: {self.kind}` compares pictures with texts and answers nothing"
        return super().refusal(name)

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
