"""Benchmarks of drawing: pictures that any program made for a task's texts, against the real ones and against the texts."""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from triptych.conversation import Image
from triptych.errors import DataError, EvaluationError
from triptych.evaluate.benchmarks.config import TaskFile
from triptych.evaluate.benchmarks.items import Item
from triptych.evaluate.benchmarks.readers import read
from triptych.evaluate.benchmarks.readers.faults import Faults
from triptych.evaluate.benchmarks.run import Options
from triptych.evaluate.embedding.encoder import Floats
from triptych.evaluate.embedding.extractor import Extractor
from triptych.evaluate.metrics.bootstrap import Tally, intervals
from triptych.evaluate.metrics.fid import clip_score, frechet_distance
from triptych.evaluate.results import Interval, TaskResult, Unparsed
from triptych.progress import counted

SUFFIXES = (".png", ".jpg", ".jpeg", ".webp")
GROUPS = 10
"""Parts that are left out in turn, to know how far a distance depends on which pictures it is of."""


def run_drawn(
    file: TaskFile, folder: Path, extractor: Extractor, fingerprint: str, options: Options | None = None
) -> TaskResult:
    """The Fréchet distance of made pictures to the task's, and how well each fits its text where the extractor reads texts.

    Made pictures are called as the task's items, `ID.png` or another kind; those of items without one are counted as
    failed, and the rest is scored against the real pictures of the same items.

    Args:
        file: The task.
        folder: Of the made pictures.
        extractor: Makes features.
        fingerprint: Of the made pictures.
        options: `data`, `limit` and `seed` count.

    Raises:
        DataError: The data is not there or malformed, or hardly a picture was made.
        EvaluationError: The task is not about drawing.
    """
    if file.metric != "images":
        raise EvaluationError(
            f"{file.name}: is answered in words; made pictures are scored by tasks of `metric: images`"
        )
    options = options or Options()
    started = time.monotonic()
    faults = Faults()
    items = read(file, options.data, faults)[: options.limit]
    made = {item.id: found for item in items if (found := _made(folder, item.id)) is not None}
    drawn = [item for item in items if item.id in made]
    if len(drawn) < 2 * GROUPS:
        raise DataError(
            f"{folder}: has pictures for {len(drawn)} of {len(items)} items; {2 * GROUPS} are the fewest to measure a "
            f"distance with. They are called ID.png, for example {items[0].id}.png"
        )
    with counted(f"{file.name}, made pictures", [Image(made[item.id]) for item in drawn], "pictures") as pictures:
        theirs = extractor.features(pictures)
    with counted(f"{file.name}, real pictures", [item.images[0] for item in drawn], "pictures") as pictures:
        real = extractor.features(pictures)
    metrics, control = {"fid": distance(real, theirs, options.seed)}, {}
    facts: dict[str, Any] = {
        "title": file.title, "paper": file.paper, "headline": file.headline, "extractor": extractor.name,
        "extractor_fingerprint": extractor.fingerprint, "width": int(real.shape[1]), "fid_between_real_halves": halves(real, options.seed),
    } | faults.facts  # fmt: skip
    if extractor.both is not None:
        texts = [str(item.truth[0] if isinstance(item.truth, list) else item.truth) for item in drawn]
        with counted(f"{file.name}, against texts", [Image(made[item.id]) for item in drawn], "pictures") as pictures:
            directions = extractor.both.images(pictures)
        words = extractor.both.texts(texts)
        metrics |= _fits(drawn, directions, words, options.seed)
        control = _fits(drawn, directions, np.roll(words, 1, axis=0), options.seed)
    seconds = time.monotonic() - started
    return TaskResult(
        kind="images",
        dataset=file.name,
        samples=len(drawn),
        questions=len(items),
        prompt="",
        parser={},
        generation={},
        seconds=seconds,
        questions_per_second=len(drawn) / seconds,
        metrics=metrics,
        control=control,
        unparsed=Unparsed(count=0, share=0.0),
        failed={"no picture was made": len(items) - len(drawn)} if len(drawn) < len(items) else {},
        fingerprint=fingerprint,
        facts=facts,
    )


def distance(real: Floats, made: Floats, seed: int = 0) -> Interval:
    """The Fréchet distance with a 95 % interval by the jackknife: a tenth of both sets is left out in turn.

    (A bootstrap would draw pictures twice, which makes a covariance narrower and the distance longer.)
    B. Efron, C. Stein, "The jackknife estimate of variance", 1981.
    """
    value = frechet_distance(real, made)
    group = np.random.default_rng(seed).permutation(len(real)) % GROUPS
    without = np.array([frechet_distance(real[group != g], made[group != g]) for g in range(GROUPS)])
    error = float(np.sqrt((GROUPS - 1) / GROUPS * ((without - without.mean()) ** 2).sum()))
    return Interval(value=value, low=max(0.0, value - 1.96 * error), high=value + 1.96 * error, n=len(real))


def halves(real: Floats, seed: int = 0) -> float:
    """The distance of one half of the real pictures to the other: what a perfect painter would get from so few."""
    order = np.random.default_rng(seed).permutation(len(real))
    return frechet_distance(real[order[::2]], real[order[1::2]])


def _fits(items: Sequence[Item], pictures: Floats, words: Floats, seed: int) -> dict[str, Interval]:
    scores = clip_score(pictures, words)
    sums = np.stack([scores, np.ones_like(scores)], axis=1)
    tally = Tally(
        [item.id for item in items], sums, lambda total: {"clip_score": total[..., 0] / total[..., 1]}, {"clip_score": len(items)}
    )  # fmt: skip
    return intervals(tally, seed=seed)


def _made(folder: Path, name: str) -> Path | None:
    """The picture of an item, which stays inside the folder."""
    for suffix in SUFFIXES:
        path = folder / f"{name}{suffix}"
        if path.is_file() and path.resolve().is_relative_to(folder.resolve()):
            return path
    return None
