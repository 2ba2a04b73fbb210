"""Which pictures a run was trained with, so that a benchmark can tell which of its own the model has seen."""

from __future__ import annotations

import json
from pathlib import Path

from triptych.errors import EvaluationError, TriptychError
from triptych.files import read_object, write_atomically

FILE = "training-pictures.json"


def training_pictures(run: Path) -> dict[str, str]:
    """Content hash → where it was seen, of every picture of the datasets that the run's stages train on.

    Hashed once and kept in `evaluation/training-pictures.json`. A picture that was written anew (another size, another
    quality) has another hash and is not found. Drawn pictures have the hash of what draws them.
    """
    from triptych.data.reading import read_record
    from triptych.data.sources import build
    from triptych.recipe import load_recipe

    kept = run / "evaluation" / FILE
    if kept.exists():
        return {key: str(where) for key, where in read_object(kept, EvaluationError).items()}
    if not (run / "recipe.yaml").exists():
        return {}
    recipe = load_recipe(run / "recipe.yaml")
    pictures: dict[str, str] = {}
    for name in dict.fromkeys(name for stage in recipe.stages for name in stage.mixture):
        try:
            source = build(recipe.data[name], Path(recipe.base))
        except TriptychError:
            continue  # the data has moved away since; what cannot be read cannot be compared
        for index in range(len(source)):
            try:
                for medium in read_record(source, index).media:
                    pictures.setdefault(medium.content_hash, f"{name}, record {index}")
            except TriptychError:
                continue
    write_atomically(kept, json.dumps(pictures))
    return pictures
