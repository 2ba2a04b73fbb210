"""The dual encoder: pictures and texts in one space, where what belongs together points the same way.

pixels ─► image side ─► [N, E] ─┐
                                ├─► cosines · exp(logit_scale) [+ logit_bias] ─► objective
ids ────► text side ──► [N, E] ─┘

A side is a tower that learns, or a frozen encoder or language model with a head that does (`triptych.model.frozen`).
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from triptych.conversation import Image
from triptych.encoders.image_encoder import ImageEncoder
from triptych.encoders.preparation import ImagePreparation
from triptych.encoders.text_transformer import TextTower
from triptych.encoders.vit import VisionTower
from triptych.families.dual.frozen import FrozenImages, FrozenTexts
from triptych.sequence.pairs import COUNTED, PairBatch, Words


class DualEncoder(nn.Module):
    """Two sides, and how sharply their cosines are read.

    Args:
        vision: The image side.
        text: The text side.
        words: Texts → ids.
        preparation: Pictures → pixels.
        scale: What cosines are multiplied with at the start.
        largest_scale: It is held below this.
        bias: What is added at the start; None adds nothing.
        masked_features: Channels that the head for masked patches predicts; None has no such head.
        saved: Beginnings of the names of parameters that come from no weights, so that a run holds them.
    """

    def __init__(
        self,
        vision: VisionTower | FrozenImages,
        text: TextTower | FrozenTexts,
        words: Words,
        preparation: ImagePreparation,
        *,
        scale: float = 1 / 0.07,
        largest_scale: float = 100.0,
        bias: float | None = None,
        masked_features: int | None = None,
        saved: tuple[str, ...] = ("",),
    ) -> None:
        super().__init__()
        self.vision, self.text = vision, text
        self.words, self.preparation = words, preparation
        self.largest = math.log(largest_scale)
        self.logit_scale = nn.Parameter(torch.tensor(math.log(scale)))
        self.logit_bias = nn.Parameter(torch.tensor(float(bias))) if bias is not None else None
        self.masked_head = None
        if masked_features is not None:
            self.masked_head = nn.Linear(self.tower.architecture.width, masked_features)
        self.saved = saved

    @property
    def device(self) -> torch.device:
        """Where the model computes."""
        return self.logit_scale.device

    @property
    def tower(self) -> VisionTower:
        """The image side where it is a tower that learns.

        Raises:
            TypeError: It is a frozen encoder.
        """
        if not isinstance(self.vision, VisionTower):
            raise TypeError("the image side is a frozen encoder, not a tower")
        return self.vision

    @property
    def frozen_encoder(self) -> ImageEncoder | None:
        """The encoder of an image side that is frozen: its features may be cached."""
        return self.vision.encoder if isinstance(self.vision, FrozenImages) else None

    def slots(self) -> Mapping[str, ImageEncoder]:
        """See `Trainable.slots`."""
        return {"image": self.frozen_encoder} if self.frozen_encoder is not None else {}

    @property
    def part_names(self) -> list[str]:
        """The parts that together are the whole model."""
        images = ["vision.encoder", "vision.head"] if isinstance(self.vision, FrozenImages) else ["vision"]
        texts = ["text.language", "text.head"] if isinstance(self.text, FrozenTexts) else ["text"]
        return [*images, *texts, "logit_scale"] + (["masked_head"] if self.masked_head is not None else [])

    def part(self, name: str) -> Iterator[tuple[str, nn.Parameter]]:
        """The named parameters of a part.

        `vision`, `text` (towers with their projections), `projections` (those of both), `logit_scale` (the bias, too),
        `masked_head`; of frozen sides `vision.head` and `text.head`, which a stage may train, and `vision.encoder` and
        `text.language`, which it may not.

        Raises:
            KeyError: There is no such part.
        """
        beginnings = {
            "vision": ("vision.",),
            "text": ("text.",),
            "projections": ("vision.projection.", "text.projection."),
            "logit_scale": ("logit_scale", "logit_bias"),
            "masked_head": ("masked_head.",),
            **{part: (f"{part}.",) for part in ("vision.encoder", "vision.head", "text.language", "text.head")},
        }[name]
        return ((key, parameter) for key, parameter in self.named_parameters() if key.startswith(beginnings))

    @torch.no_grad()
    def after_step(self) -> dict[str, float]:
        """Hold the scale below its bound."""
        self.logit_scale.clamp_(max=self.largest)
        figures = {"logit_scale": float(self.logit_scale)}
        return figures if self.logit_bias is None else {**figures, "logit_bias": float(self.logit_bias)}

    def describe(self, batch: PairBatch) -> list[dict[str, Any]]:
        """The pairs of a batch in words."""
        found = zip(batch.conversations, batch.texts, batch.media, strict=True)
        return [{"id": document.id, "text": text, "media": [str(medium)]} for document, text, medium in found]

    def encode_pixels(self, pixels: Tensor) -> Tensor:
        """Directions `[N, E]`, float32, of pixels `[N, 3, H, W]` in 0–255, or of a frozen encoder's features `[N, T, D]`."""
        return functional.normalize(self.vision.encode(pixels.to(self.device)).float(), dim=-1)

    def encode_ids(self, ids: Tensor, lengths: Tensor) -> Tensor:
        """Directions `[N, E]`, float32, of texts `[N, L]`."""
        return functional.normalize(self.text(ids.to(self.device), lengths.to(self.device)).float(), dim=-1)

    def prepare(self, picture: Image) -> Tensor:
        """Pixels `[3, H, W]` of a picture, uint8. Raises DataError where it cannot be read."""
        return self.preparation(picture)

    @torch.inference_mode()
    def embed_images(self, pictures: Sequence[Image], batch_size: int = 64) -> Tensor:
        """Directions `[N, E]` of pictures, on the CPU."""
        found = [
            self.encode_pixels(torch.stack([self.prepare(picture) for picture in pictures[i : i + batch_size]])).cpu()
            for i in range(0, len(pictures), batch_size)
        ]
        return torch.cat(found) if found else torch.empty(0, self.vision.embed_dim)

    @torch.inference_mode()
    def embed_texts(self, texts: Sequence[str], batch_size: int = 256) -> Tensor:
        """Directions `[N, E]` of texts, on the CPU."""
        found = [
            self.encode_ids(*self.words(texts[i : i + batch_size])).cpu() for i in range(0, len(texts), batch_size)
        ]
        return torch.cat(found) if found else torch.empty(0, self.text.embed_dim)

    @torch.inference_mode()
    def pooled_features(self, pictures: Sequence[Image], batch_size: int = 64) -> Tensor:
        """What the image side knows before anything is projected `[N, D]`, on the CPU.

        The pooled state of a tower; the mean over positions of a frozen encoder's features.
        """
        found = []
        for i in range(0, len(pictures), batch_size):
            pixels = torch.stack([self.prepare(picture) for picture in pictures[i : i + batch_size]]).to(self.device)
            if isinstance(self.vision, FrozenImages):
                found.append(self.vision.features(pixels).float().mean(dim=1).cpu())
                continue
            states = self.vision(pixels)
            pooled = states[:, 0] if self.vision.pool is None else self.vision.pool(states)
            found.append(pooled.float().cpu())
        width = self.vision.width if isinstance(self.vision, FrozenImages) else self.vision.architecture.width
        return torch.cat(found) if found else torch.empty(0, width)

    @torch.inference_mode()
    def text_features(self, texts: Sequence[str], batch_size: int = 256) -> Tensor:
        """What the text side knows of texts before anything is projected `[N, D]`, on the CPU.

        The mean state of a frozen language model. A tower that learns knows only what it was taught together with the
        image side: there it is how often a text has each token, those with the same remainder by `COUNTED` together.
        """
        found = []
        for i in range(0, len(texts), batch_size):
            ids, lengths = self.words(texts[i : i + batch_size])
            if isinstance(self.text, FrozenTexts):
                found.append(self.text.features(ids.to(self.device), lengths.to(self.device)).cpu())
                continue
            inside = torch.arange(ids.shape[1]) < lengths[:, None] - 1  # without the end token
            found.append(torch.zeros(len(ids), COUNTED).scatter_add_(1, ids % COUNTED, inside.float()))
        width = self.text.width if isinstance(self.text, FrozenTexts) else COUNTED
        return torch.cat(found) if found else torch.empty(0, width)
