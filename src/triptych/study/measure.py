"""What a trained variant is made of, told by the model itself: `python -m triptych.study.measure RUN TASK`.

Writes `measured.json` into the run folder. A program of its own, so that the study's process never holds a model.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

from triptych.errors import DataError
from triptych.files import write_atomically

FILE = "measured.json"
PICTURES = 16
"""Pictures of the task's data that the media tokens are counted on; encoders of fixed size give each the same."""


def measure(run: Path, task: str) -> dict[str, Any]:
    """Trained parameters, and how many positions a picture takes; written to `measured.json`.

    Returns:
        `trained_parameters`: in all stages together; `new_parameters`: those of them that are not the language
        model's or an encoder's; `tokens_per_picture`: adapted positions per picture that the
        language model attends to, wherever the fusion puts them; `sequence_per_picture`: positions of its sequence.
    """
    from triptych.api import load
    from triptych.data.reading import read_record
    from triptych.data.sources import build as build_source
    from triptych.training.parts import freeze

    loaded = load(run)
    loaded.require("answers", str(run))
    model, recipe = loaded.model, loaded.recipe
    trained: dict[str, int] = {}
    for stage in recipe.stages:
        for group in freeze(model, stage).values():
            trained |= {name: parameter.numel() for name, parameter in group.items()}
    source = build_source(recipe.data[recipe.evaluation[task].data], Path(recipe.base))
    adapted, placed = [], []
    for index in range(len(source)):
        try:
            media = read_record(source, index).media
        except DataError:
            continue
        for medium in media:
            adapter, encoder = model.adapter(medium.modality), model.encoder(medium.modality)
            adapted.append(adapter.output_tokens(encoder.tokens(medium)))
            placed.append(model.media_tokens(medium))
        if len(adapted) >= PICTURES:
            break
    found = {
        "trained_parameters": sum(trained.values()),
        "new_parameters": sum(
            size for name, size in trained.items() if name.partition(".")[0] not in ("language", "encoders")
        ),
        "tokens_per_picture": sum(adapted) / len(adapted) if adapted else None,
        "sequence_per_picture": sum(placed) / len(placed) if placed else None,
    }
    write_atomically(run / FILE, json.dumps(found, indent=2) + "\n")
    return found


if __name__ == "__main__":
    measure(Path(sys.argv[1]), sys.argv[2])
