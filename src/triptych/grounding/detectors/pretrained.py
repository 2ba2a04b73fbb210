"""Loading a detector's folder in the hub's format: model, tokenizer, how pictures are prepared."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch

from triptych.errors import WeightsError
from triptych.language.quiet import quiet
from triptych.weights import fetch


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
    try:
        with quiet():
            model, report = getattr(transformers, class_name).from_pretrained(
                folder, dtype=torch.float32, local_files_only=True, weights_only=True, output_loading_info=True
            )
            tokenizer = transformers.AutoTokenizer.from_pretrained(folder, local_files_only=True)
    except (OSError, ValueError, KeyError, RuntimeError) as error:
        raise WeightsError(f"weights {uri}: {folder} cannot be loaded as {class_name} ({error})") from error
    lacking = sorted(report["missing_keys"]) + [str(key) for key in report["mismatched_keys"]]
    if lacking:
        raise WeightsError(
            f"weights {uri}: {folder} lacks {len(lacking)} tensors of {class_name}, such as {lacking[0]}"
        )
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
    made = getattr(module, class_name)
    try:
        return made.from_pretrained(folder, local_files_only=True)
    except OSError as error:
        raise WeightsError(f"weights {uri}: {folder} says nothing about pictures ({error})") from error
