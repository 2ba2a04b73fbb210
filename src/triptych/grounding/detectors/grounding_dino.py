"""GroundingDINO: one text names everything, `apple. dog.`; each query has a box and a score for every token.

A box's score is its best token's; it belongs to the phrase of that token, if the token says more than `text_threshold`.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from triptych.conversation import Image
from triptych.decoders.geometry import corners
from triptych.grounding.detectors.config import GroundingDinoConfig
from triptych.grounding.detectors.detector import Detector, Found
from triptych.grounding.detectors.pretrained import image_processor, load


class GroundingDinoDetector(Detector):
    """GroundingDINO.

    Args:
        model: `GroundingDinoForObjectDetection`.
        tokenizer: BERT's.
        processor: How pictures are prepared.
        config: Thresholds.
    """

    def __init__(self, model: Any, tokenizer: Any, processor: Any, config: GroundingDinoConfig) -> None:
        super().__init__(config.batch_size, config.overlap)
        self.model, self.tokenizer, self.processor, self.config = model, tokenizer, processor, config

    @classmethod
    def from_config(cls, config: GroundingDinoConfig, base: Path | None = None) -> GroundingDinoDetector:
        """Load it. Raises WeightsError."""
        model, tokenizer, folder = load(config.weights, "GroundingDinoForObjectDetection", base)
        return cls(model, tokenizer, image_processor(folder, "GroundingDinoImageProcessorPil", config.weights), config)

    def find(self, images: Sequence[Image], phrases: Sequence[Sequence[str]]) -> list[Found]:
        """See `Detector.find`."""
        pictures = [image.open() for image in images]
        texts, owners = self.texts(phrases)
        outputs = self.forward(self.pixels(pictures), texts)
        return self.read(outputs.logits, outputs.pred_boxes, [picture.size for picture in pictures], owners)

    def texts(self, phrases: Sequence[Sequence[str]]) -> tuple[dict[str, Tensor], list[Tensor]]:
        """What the text tower takes, padded, and of each picture the phrase `[L]` of each token (-1: of none)."""
        longest = self.model.config.max_text_len
        encoded = self.tokenizer(
            [caption(own) for own in phrases],
            padding=True,
            truncation=True,
            max_length=longest,
            return_tensors="pt",
            return_token_type_ids=True,
        )
        dot = self.tokenizer.convert_tokens_to_ids(".")
        special = set(self.tokenizer.all_special_ids)
        owners = []
        for ids in encoded["input_ids"].tolist():
            phrase, own = 0, []
            for token in ids:
                own.append(-1 if token == dot or token in special else phrase)
                phrase += token == dot
            owners.append(torch.tensor(own))
        return {name: encoded[name] for name in ("input_ids", "attention_mask", "token_type_ids")}, owners

    def pixels(self, pictures: Sequence[Any]) -> dict[str, Tensor]:
        """Pixels `[N, 3, H, W]` and what of them is picture `[N, H, W]`."""
        prepared = self.processor(list(pictures), return_tensors="pt")
        return {name: prepared[name] for name in ("pixel_values", "pixel_mask")}

    def forward(self, pixels: dict[str, Tensor], texts: dict[str, Tensor]) -> Any:
        """Transformers' output."""
        device = self.model.device
        return self.model(**{name: values.to(device) for name, values in (pixels | texts).items()})

    def read(
        self, logits: Tensor, boxes: Tensor, sizes: Sequence[tuple[int, int]], owners: Sequence[Tensor]
    ) -> list[Found]:
        """Boxes above the thresholds.

        Args:
            logits: `[N, K, 256]`, minus infinity behind the text.
            boxes: `[N, K, 4]` centre x, y, width, height as shares of the picture.
            sizes: Width and height of each picture.
            owners: `[L]` the phrase of each token, -1 for tokens of none.
        """
        answers = []
        for logit, box, size, owner in zip(logits, boxes, sizes, owners, strict=True):
            width, height = size
            tokens = logit.float().sigmoid()
            owner = owner.to(tokens.device)
            words = tokens[:, : len(owner)].masked_fill(owner < 0, 0)
            said, token = words.max(dim=-1)
            scores = tokens.max(dim=-1).values
            keep = (scores > self.config.threshold) & (said > self.config.text_threshold)
            scale = torch.tensor([width, height, width, height], dtype=torch.float32, device=box.device)
            answers.append(Found(corners(box.float())[keep] * scale, scores[keep], owner[token][keep], size))
        return answers


def caption(phrases: Sequence[str]) -> str:
    """Phrases as GroundingDINO was trained to read them: lower case, a dot behind each, and none inside.

    `?` ends a phrase for it as well.
    """
    cleaned = [re.sub(r"\s+", " ", re.sub(r"[.?]", " ", phrase)).strip().lower() for phrase in phrases]
    return " ".join(f"{phrase or 'nothing'}." for phrase in cleaned)
