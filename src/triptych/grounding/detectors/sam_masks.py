"""Masks from boxes: SAM (Kirillov et al., 2023, https://arxiv.org/abs/2304.02643), as in transformers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch

from triptych.conversation import Image, Mask, Region
from triptych.grounding.detectors.config import SamMasksConfig
from triptych.grounding.detectors.pretrained import image_processor
from triptych.weights import fetch
from triptych.weights.pretrained import load_pretrained


class SamMasks:
    """Cuts out what is in a box.

    Args:
        model: `SamModel`.
        processor: How pictures are prepared.
    """

    def __init__(self, model: Any, processor: Any) -> None:
        self.model, self.processor = model, processor

    @classmethod
    def from_config(cls, config: SamMasksConfig, base: Path | None = None) -> SamMasks:
        """Load it. Raises WeightsError."""
        from transformers import SamModel

        folder = fetch(config.weights, base=base)
        model = load_pretrained(SamModel, folder, f"weights {config.weights}", dtype=torch.float32)
        processor = image_processor(folder, "SamImageProcessorPil", config.weights)
        device = "cuda" if torch.cuda.is_available() else "cpu"
        return cls(model.to(device).eval().requires_grad_(False), processor)

    @torch.inference_mode()
    def mask(self, image: Image, regions: Sequence[Region]) -> list[Region]:
        """The regions with masks of what their boxes hold. The picture is encoded once.

        Raises:
            DataError: The picture cannot be read.
        """
        if not regions:
            return []
        picture = image.open()
        prepared = self.processor([picture], return_tensors="pt")
        (height, width), (rows, columns) = (
            prepared["original_sizes"][0].tolist(),
            prepared["reshaped_input_sizes"][0].tolist(),
        )
        scale = torch.tensor([columns / width, rows / height] * 2)
        boxes = torch.tensor([_in_pixels(region, width, height) for region in regions]) * scale
        device = self.model.device
        outputs = self.model(
            pixel_values=prepared["pixel_values"].to(device), input_boxes=boxes[None].to(device), multimask_output=False
        )
        (masks,) = self.processor.post_process_masks(
            outputs.pred_masks.cpu(), prepared["original_sizes"], prepared["reshaped_input_sizes"]
        )
        return [replace(region, mask=Mask.encode(mask[0].numpy())) for region, mask in zip(regions, masks, strict=True)]


def _in_pixels(region: Region, width: int, height: int) -> tuple[float, float, float, float]:
    left, top, right, bottom = region.normalised
    return left * width, top * height, right * width, bottom * height
