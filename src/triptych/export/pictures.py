"""Image processors of transformers that prepare pictures as a run's encoder does."""

from __future__ import annotations

from typing import Any

from triptych.encoders.preparation import ImagePreparation

BILINEAR, BICUBIC = 2, 3
"""Pillow's numbers, which transformers' configurations use."""


def image_processor(preparation: ImagePreparation, mean: tuple[float, ...], std: tuple[float, ...]) -> Any:
    """The image processor.

    A picture that is padded is padded before it is resized there and after it here, so pixels near an edge may differ by
    a rounding.

    Args:
        preparation: What the encoder does.
        mean: Of the pixels, 0–1.
        std: Likewise.
    """
    from transformers.models.clip.image_processing_pil_clip import CLIPImageProcessorPil
    from transformers.models.llava.image_processing_pil_llava import LlavaImageProcessorPil

    size = preparation.size
    common = {
        "image_mean": [round(value, 9) for value in mean],
        "image_std": [round(value, 9) for value in std],
        "resample": BILINEAR if preparation.bilinear else BICUBIC,
        "crop_size": {"height": size, "width": size},
        "do_convert_rgb": True,
    }
    match preparation.fit:
        case "pad":
            return LlavaImageProcessorPil(do_pad=True, size={"shortest_edge": size}, **common)
        case "crop":
            return CLIPImageProcessorPil(size={"shortest_edge": size}, **common)
        case "squash":
            return CLIPImageProcessorPil(size={"height": size, "width": size}, do_center_crop=False, **common)
