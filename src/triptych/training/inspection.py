"""Writing a batch out for a person to look at, when its loss is not finite."""

from __future__ import annotations

import json
from pathlib import Path

from safetensors.torch import save_file

from triptych.model.composed import MultimodalModel
from triptych.sequence.pack import Batch


def write_batch(folder: Path, batch: Batch, model: MultimodalModel) -> Path:
    """Write a batch's tensors (`batch.safetensors`) and its records as text (`records.json`)."""
    folder.mkdir(parents=True, exist_ok=True)
    tensors = {name: getattr(batch, name) for name in ("ids", "targets", "positions", "documents")}
    tensors |= {f"features/{i}": f.contiguous() for i, f in enumerate(batch.features) if f is not None}
    tensors |= {f"pixels/{i}": p.contiguous() for i, p in enumerate(batch.pixels) if p is not None}
    save_file(tensors, folder / "batch.safetensors")
    records = [
        {
            "id": document.id,
            "text": model.language.tokenizer.decode(batch.ids[batch.documents == number].tolist()),
            "media": [str(batch.media[medium]) for medium in document.media],
        }
        for number, document in enumerate(batch.conversations)
    ]
    (folder / "records.json").write_text(json.dumps(records, indent=2, ensure_ascii=False), encoding="utf-8")
    return folder
