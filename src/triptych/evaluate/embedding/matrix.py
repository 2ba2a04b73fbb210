"""The cosines of a few held-out pictures with their texts, kept for the report to draw."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

from triptych.evaluate.embedding.encoder import Embedder, cosines
from triptych.evaluate.embedding.samples import Sample
from triptych.files import write_atomically

SHOWN = 12
"""Pictures, and texts: the first of each."""


def write_matrix(path: Path, model: Embedder, samples: Sequence[Sample], dataset: str) -> None:
    """Write `{"pictures": [{dataset, index, id}], "texts": [...], "cosines": [[...]]}`; text i is one of picture i."""
    few = list({sample.texts[0]: sample for sample in samples[: 4 * SHOWN]}.values())[:SHOWN]
    texts = [sample.texts[0] for sample in few]
    found = cosines(model.images([sample.picture for sample in few]), model.texts(texts))
    matrix = {
        "pictures": [{"dataset": dataset, "index": sample.index, "id": sample.id} for sample in few],
        "texts": texts,
        "cosines": [[round(float(value), 4) for value in row] for row in found],
    }
    write_atomically(path, json.dumps(matrix, indent=1, ensure_ascii=False) + "\n")
