"""Writing a batch out for a person to look at, when its loss is not finite."""

from __future__ import annotations

import json
from dataclasses import fields
from pathlib import Path
from typing import Any

from safetensors.torch import save_file
from torch import Tensor

from triptych.model.trainable import Trainable
from triptych.sequence.batch import StepBatch


def write_batch(folder: Path, batch: StepBatch, model: Trainable) -> Path:
    """Write a batch's tensors (`batch.safetensors`) and its records as text (`records.json`)."""
    folder.mkdir(exist_ok=True)
    save_file(_tensors(batch), folder / "batch.safetensors")
    records = json.dumps(model.describe(batch), indent=2, ensure_ascii=False)
    (folder / "records.json").write_text(records, encoding="utf-8")
    return folder


def _tensors(batch: Any) -> dict[str, Tensor]:
    found: dict[str, Tensor] = {}
    for field in fields(batch):
        value = getattr(batch, field.name)
        if isinstance(value, Tensor):
            found[field.name] = value.contiguous()
        elif isinstance(value, tuple):
            found |= {
                f"{field.name}/{i}": item.contiguous() for i, item in enumerate(value) if isinstance(item, Tensor)
            }
    return found
