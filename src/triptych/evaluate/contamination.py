"""Which pictures a run was trained with, and which pictures of a benchmark are among them."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from triptych.conversation import Medium
from triptych.errors import DataError, EvaluationError, TriptychError
from triptych.files import read_object, write_atomically

if TYPE_CHECKING:
    from triptych.recipe import Recipe

FILE = "training-pictures.json"


@dataclass(frozen=True)
class TrainingPictures:
    """The pictures that a model was trained with.

    Args:
        seen: Content hash → where it was seen.
        gap: Why not all of them are known; empty where they are.
    """

    seen: Mapping[str, str]
    gap: str = ""


def training_pictures(run: Path) -> TrainingPictures:
    """Every picture of the datasets that the run's stages train on.

    Hashed once and kept in `evaluation/training-pictures.json`, unless a dataset is gone. A picture that was written anew
    (another size, another quality) has another hash and is not recognised. Drawn pictures have the hash of what draws them.
    """
    from triptych.recipe import load_recipe

    kept = run / "evaluation" / FILE
    if kept.exists():
        return TrainingPictures({key: str(where) for key, where in read_object(kept, EvaluationError).items()})
    if not (run / "recipe.yaml").exists():
        return TrainingPictures({})
    recipe = load_recipe(run / "recipe.yaml")
    seen: dict[str, str] = {}
    gaps: list[str] = []
    for name in dict.fromkeys(name for stage in recipe.stages for name in stage.mixture):
        try:
            for hash_, where in _pictures(name, recipe):
                seen.setdefault(hash_, where)
        except TriptychError as error:
            gaps.append(f"the training data `{name}` cannot be read: {error}")
    if not gaps:
        write_atomically(kept, json.dumps(seen))
    return TrainingPictures(seen, "; ".join(gaps))


def _pictures(name: str, recipe: Recipe) -> Iterator[tuple[str, str]]:
    """The hash of each picture of a dataset, and where it is; a record that cannot be read was not trained on either.

    Raises:
        TriptychError: The dataset, or every record of it, cannot be read: it was there when the run was trained.
    """
    from triptych.data.reading import read_record
    from triptych.data.sources import build
    from triptych.progress import counted

    source = build(recipe.data[name], Path(recipe.base))
    readable, first = 0, None
    with counted(f"pictures of {name}", range(len(source)), "records") as indices:
        for index in indices:
            try:
                for medium in read_record(source, index).media:
                    yield medium.content_hash, f"{name}, record {index}"
                readable += 1
            except TriptychError as error:
                first = first or error
    if first is not None and not readable:
        raise first


def contamination(
    pictures: Iterable[Medium], trained: TrainingPictures | None, missing: Collection[str] = ()
) -> dict[str, Any] | None:
    """Which pictures of a benchmark were seen in training: how many of how many, and the first few with where.

    Where a picture of the benchmark or of the training data cannot be read, `status` is `unknown` and `reason` says why;
    what was seen is then counted among the pictures that could be compared, if there are any.

    Args:
        pictures: Of the benchmark.
        trained: The pictures that the model was trained with; None where nothing is known about them.
        missing: The names of pictures of the benchmark that are not there.

    Returns:
        None where the training pictures are not known and no picture is missing.
    """
    names: dict[str, str] = {}  # hash → name; where nothing is to be compared, the name stands for the hash
    unread: dict[str, str] = {}
    for picture in pictures:
        if str(picture) in missing:
            unread.setdefault(str(picture), f"{picture} is not there")
            continue
        try:
            names[picture.content_hash if trained is not None else str(picture)] = str(picture)
        except DataError as error:
            unread.setdefault(str(picture), str(error))
    if trained is None and not unread:
        return None
    checked: dict[str, Any] = {"pictures": len(names) + len(unread)}
    if trained is not None and (names or not unread):
        shared = {name: trained.seen[hash_] for hash_, name in names.items() if hash_ in trained.seen}
        examples = [f"{Path(name).name} is in {where}" for name, where in list(shared.items())[:5]]
        checked |= {"seen_in_training": len(shared), "examples": examples}
    reasons = [trained.gap] if trained is not None and trained.gap else []
    if unread:
        first = next(iter(unread.values()))
        reasons.append(f"{len(unread)} of {checked['pictures']} pictures cannot be read; the first: {first}")
    return {"status": "unknown", "reason": "; ".join(reasons), **checked} if reasons else checked


def unknown(facts: Mapping[str, Any]) -> str:
    """What is not known about contamination, and why, from a result's facts; empty where all is known."""
    checked = facts.get("contamination")
    if not isinstance(checked, Mapping) or checked.get("status") != "unknown":
        return ""
    return f"contamination unknown: {checked.get('reason')}"
