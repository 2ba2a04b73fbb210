"""Loading a detector's folder in the hub's format: model, tokenizer, how pictures are prepared."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch

from triptych.weights import fetch
from triptych.weights.pretrained import load_pretrained, load_processor, load_tokenizer


def load(uri: str, class_name: str, base: Path | None = None) -> tuple[Any, Any, Path]:
    """The model, in evaluation mode and float32, its tokenizer, and the folder of both.

    Args:
        uri: `hf:` or `file:` of a folder.
        class_name: Of the model in transformers.
        base: The folder that relative paths start from.

    Raises:
        WeightsError: Nothing is there, or it is not such a model.
    """
    import transformers

    folder = fetch(uri, base=base)
    model = load_pretrained(getattr(transformers, class_name), folder, f"weights {uri}", dtype=torch.float32)
    tokenizer = load_tokenizer(folder, f"weights {uri}")
    device = "cuda" if torch.cuda.is_available() else "cpu"
    return model.to(device).eval().requires_grad_(False), tokenizer, folder


def image_processor(folder: Path, class_name: str, uri: str) -> Any:
    """How the pictures of a model are prepared: transformers' Pillow processor, which needs no torchvision.

    Raises:
        WeightsError: The folder's preprocessor config cannot be read.
    """
    import importlib

    family = class_name.removesuffix("ImageProcessorPil").lower().replace("groundingdino", "grounding_dino")
    module = importlib.import_module(f"transformers.models.{family}.image_processing_pil_{family}")
    return load_processor(getattr(module, class_name), folder, f"weights {uri}", "a preprocessor of pictures")
