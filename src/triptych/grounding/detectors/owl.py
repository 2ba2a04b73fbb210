"""OWL-ViT and OWLv2: every patch has a box and an embedding, which is held against those of the phrases.

OWL-ViT squeezes a picture into a square; OWLv2 fills it up at the right and at the bottom. Boxes are shares of that square.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image as Pillow
from torch import Tensor

from triptych.conversation import Image
from triptych.decoders.geometry import corners
from triptych.grounding.detectors.config import OwlConfig
from triptych.grounding.detectors.detector import Detector, Found
from triptych.grounding.detectors.pretrained import image_processor, load

CLASSES = {"owlvit": "OwlViTForObjectDetection", "owlv2": "Owlv2ForObjectDetection"}
PROCESSORS = {"owlvit": "OwlViTImageProcessorPil", "owlv2": "Owlv2ImageProcessorPil"}


class OwlDetector(Detector):
    """OWL-ViT or OWLv2.

    Args:
        model: Of transformers.
        tokenizer: Its tokenizer.
        processor: How pictures are prepared; of OWLv2 only the size and the colours are used, since its own resizing
            needs SciPy.
        config: Thresholds, prompt.
    """

    def __init__(self, model: Any, tokenizer: Any, processor: Any, config: OwlConfig) -> None:
        super().__init__(config.batch_size, config.overlap)
        self.model, self.tokenizer, self.processor, self.config = model, tokenizer, processor, config

    @classmethod
    def from_config(cls, config: OwlConfig, base: Path | None = None) -> OwlDetector:
        """Load it. Raises WeightsError."""
        model, tokenizer, folder = load(config.weights, CLASSES[config.kind], base)
        return cls(model, tokenizer, image_processor(folder, PROCESSORS[config.kind], config.weights), config)

    def find(self, images: Sequence[Image], phrases: Sequence[Sequence[str]]) -> list[Found]:
        """See `Detector.find`."""
        pictures = [image.open() for image in images]
        queries = max(map(len, phrases))
        texts = [self.written(phrase) for own in phrases for phrase in [*own, *[""] * (queries - len(own))]]
        outputs = self.forward(self.pixels(pictures), self.ids(texts))
        sizes = [picture.size for picture in pictures]
        return self.read(outputs.logits, outputs.pred_boxes, sizes, [len(own) for own in phrases])

    def written(self, phrase: str) -> str:
        """A phrase as the text tower reads it."""
        phrase = phrase.strip()
        an = "an" if phrase[:1].lower() in "aeiou" else "a"
        bare = phrase.lower().startswith(("a ", "an ", "the "))
        return self.config.prompt.replace("{a}", phrase if bare else f"{an} {phrase}").replace("{}", phrase)

    def ids(self, texts: Sequence[str]) -> dict[str, Tensor]:
        """Token ids and attention masks `[texts, L]`; too long a text is cut."""
        longest = self.model.config.text_config.max_position_embeddings
        encoded = self.tokenizer(
            list(texts), padding="max_length", truncation=True, max_length=longest, return_tensors="pt"
        )
        return {name: encoded[name] for name in ("input_ids", "attention_mask")}

    def pixels(self, pictures: Sequence[Pillow.Image]) -> Tensor:
        """`[N, 3, S, S]` as the model takes them."""
        if self.config.kind == "owlvit":
            prepared: Tensor = self.processor(list(pictures), return_tensors="pt")["pixel_values"]
            return prepared
        size = self.processor.size
        mean, std = (torch.tensor(getattr(self.processor, name)) for name in ("image_mean", "image_std"))
        found = []
        for picture in pictures:
            side = max(picture.size)
            square = Pillow.new("RGB", (side, side))  # black, as transformers fills up
            square.paste(picture, (0, 0))
            square = square.resize((size["width"], size["height"]), Pillow.Resampling.BILINEAR)
            values = torch.from_numpy(np.array(square)).float() / 255
            found.append(((values - mean) / std).permute(2, 0, 1))
        return torch.stack(found)

    def forward(self, pixels: Tensor, ids: dict[str, Tensor]) -> Any:
        """Transformers' output for pictures and as many texts for each."""
        device = self.model.device
        return self.model(pixel_values=pixels.to(device), **{name: values.to(device) for name, values in ids.items()})

    def read(
        self, logits: Tensor, boxes: Tensor, sizes: Sequence[tuple[int, int]], queries: Sequence[int]
    ) -> list[Found]:
        """Boxes above the threshold, each for the phrase that it looks like most.

        Args:
            logits: `[N, K, Q]`.
            boxes: `[N, K, 4]` centre x, y, width, height as shares of the square.
            sizes: Width and height of each picture.
            queries: How many of the Q texts are phrases; the others fill up.
        """
        answers = []
        for logit, box, size, count in zip(logits, boxes, sizes, queries, strict=True):
            best, phrase = logit[:, :count].float().max(dim=-1)
            scores = best.sigmoid()
            width, height = size if self.config.kind == "owlvit" else (max(size), max(size))
            scale = torch.tensor([width, height, width, height], dtype=torch.float32, device=box.device)
            keep = scores > self.config.threshold
            answers.append(Found(corners(box.float())[keep] * scale, scores[keep], phrase[keep], size))
        return answers
