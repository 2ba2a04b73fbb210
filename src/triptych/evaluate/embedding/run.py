"""Running an embedding task: read, embed, compare, record, score."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, assert_never

import numpy as np
from numpy.typing import NDArray

from triptych.errors import EvaluationError
from triptych.evaluate.config import EmbeddingTaskConfig, LinearProbeTaskConfig, RetrievalTaskConfig, ZeroShotTaskConfig
from triptych.evaluate.embedding import classes as naming
from triptych.evaluate.embedding import retrieval
from triptych.evaluate.embedding.encoder import Embedder, Floats
from triptych.evaluate.embedding.matrix import write_matrix
from triptych.evaluate.embedding.ranks import ranks
from triptych.evaluate.embedding.samples import Sample, label_of, read, texts_of
from triptych.evaluate.metrics.bootstrap import Tally, differences, intervals
from triptych.evaluate.records import write_records
from triptych.evaluate.results import Baseline, TaskResult, Unparsed
from triptych.evaluate.tasks.question import Record
from triptych.progress import counted

if TYPE_CHECKING:
    from triptych.data.sources import Source


def evaluate_embeddings(
    model: Embedder,
    source: Source,
    task: EmbeddingTaskConfig,
    output: Path,
    *,
    name: str | None = None,
    train_source: Source | None = None,
    fingerprint: str = "",
) -> TaskResult:
    """Compare directions, keep a record of each comparison, and score them with intervals over pictures.

    Args:
        model: Gives directions and features.
        source: The dataset that `task.data` names.
        task: What the recipe says.
        output: The run folder; records go to `output/evaluation/NAME.jsonl`.
        name: The task's name in the recipe; that of its dataset by default.
        train_source: The dataset that `task.train_data` names.
        fingerprint: Of the model.

    Raises:
        EvaluationError: The source does not fit the task.
    """
    name = name or task.data
    began = time.perf_counter()
    about = texts_of if isinstance(task, RetrievalTaskConfig) else label_of
    samples, faults = read(source, about, task.limit, task.data, task.failed_share)
    if isinstance(task, RetrievalTaskConfig):
        records, values = _retrieval(model, samples, task, train_source)
        write_matrix(output / "evaluation" / f"{name}.matrix.json", model, samples, task.data)
    else:
        records, values = _naming(model, samples, task, train_source)
    seconds = time.perf_counter() - began
    records = [replace(record, seconds=round(seconds / len(records), 6)) for record in records]
    write_records(output / "evaluation" / f"{name}.jsonl", records)
    return TaskResult(
        kind=task.kind,
        dataset=task.data,
        samples=len({record.sample for record in records}),
        questions=len(records),
        parser={},
        generation={},
        seconds=seconds,
        questions_per_second=len(records) / seconds,
        unparsed=Unparsed(count=0, share=0.0),
        failed=dict(faults),
        fingerprint=fingerprint,
        **values,
    )


def _retrieval(
    model: Embedder, samples: Sequence[Sample], task: RetrievalTaskConfig, train_source: Source | None
) -> tuple[list[Record], dict[str, Any]]:
    found = retrieval.search(samples, model, task.pool, task.data, task.rerank)
    at = [k for k in task.at if k < task.pool]
    ours = retrieval.tally(found, at)
    values: dict[str, Any] = {
        "prompt": f"{task.pool}-way retrieval",
        "metrics": intervals(ours, seed=task.seed),
        "chance": retrieval.chance(found, at),
        "baselines": {name: _baseline(name, model, samples, task, train_source, ours, at) for name in task.baselines},
    }
    if task.rerank is not None:
        before = retrieval.tally(retrieval.search(samples, model, task.pool, task.data), at)
        values["baselines"]["cosines"] = Baseline(
            metrics=intervals(before, seed=task.seed), difference=differences(ours, before, seed=task.seed)
        )
    if task.control:
        shuffled = _others(samples, task.pool, task.seed)
        control = retrieval.search(shuffled, model, task.pool, task.data, task.rerank)
        values["control"] = intervals(retrieval.tally(control, at), seed=task.seed)
    records = []
    for number, one in enumerate(found):
        sample = samples[one.sample]
        forward = one.way == retrieval.WAYS[0]
        first = one.first if isinstance(one.first, str) else samples[one.first].texts[0]
        records.append(
            Record(
                id=f"{sample.id}/{one.way}/{number}",
                kind=one.way,
                question=f"Which of {one.candidates} texts?"
                if forward
                else f"Which of {one.candidates} pictures: {one.text}",
                truth=list(sample.texts) if forward else one.text,
                answer=first,
                finish="stop",
                tokens=0,
                seconds=0.0,
                sample=sample.index,
                image={"dataset": task.data, "index": sample.index},
                parsed=f"rank {one.rank}",
                correct=one.rank == 1,
            )
        )
    return records, values


def _baseline(
    name: str,
    model: Embedder,
    samples: Sequence[Sample],
    task: RetrievalTaskConfig,
    train_source: Source | None,
    ours: Tally,
    at: Sequence[int],
) -> Baseline:
    """What a baseline scores, and the model's scores minus its own, paired by picture."""
    if train_source is None:
        raise EvaluationError(f"the baseline {name!r} needs the dataset {task.train_data!r}: pass it as `train_source`")
    from triptych.evaluate.embedding import ridge

    train, _ = read(train_source, texts_of, None, task.train_data or "", task.failed_share)
    once = list({sample.picture.content_hash: sample for sample in train}.values())
    theirs = retrieval.tally(retrieval.search(samples, ridge.fit(model, once, task.seed), task.pool, task.data), at)
    return Baseline(metrics=intervals(theirs, seed=task.seed), difference=differences(ours, theirs, seed=task.seed))


def _others(samples: Sequence[Sample], pool: int, seed: int) -> list[Sample]:
    """The samples, each with the texts of another one of its pool: the control."""
    generator = np.random.default_rng(seed)
    found = list(samples)
    for start in range(0, len(samples) - pool + 1, pool):
        order = generator.permutation(pool)
        for here, there in zip(order, np.roll(order, 1), strict=True):
            found[start + here] = replace(samples[start + here], texts=samples[start + there].texts)
    return found


def _naming(
    model: Embedder,
    samples: Sequence[Sample],
    task: ZeroShotTaskConfig | LinearProbeTaskConfig,
    train_source: Source | None,
) -> tuple[list[Record], dict[str, Any]]:
    match task:
        case ZeroShotTaskConfig():
            classes = naming.classes_of(samples, task.classes, task.data)
            scores = naming.zero_shot(samples, classes, task.templates, model)
            prompt = " | ".join(task.templates)
        case LinearProbeTaskConfig():
            if train_source is None:
                raise EvaluationError(
                    f"the linear probe needs the dataset {task.train_data!r}: pass it as `train_source`"
                )
            train, _ = read(train_source, label_of, None, task.train_data, task.failed_share)
            classes = naming.classes_of([*train, *samples], (), task.data)
            with counted("linear probe, to learn from", [sample.picture for sample in train], "pictures") as pictures:
                fitted = model.features(pictures), [sample.texts[0] for sample in train]
            with counted("linear probe", [sample.picture for sample in samples], "pictures") as pictures:
                features = model.features(pictures)
            scores = naming.linear_probe(fitted, features, classes, task.penalty)
            prompt = f"linear probe on {len(train):,} pictures of {task.train_data}"
        case _:
            assert_never(task)
    found = _ranked(samples, classes, scores)
    values: dict[str, Any] = {
        "prompt": prompt,
        "metrics": intervals(naming.tally(samples, found, len(classes)), seed=task.seed),
        "chance": naming.chance(samples, len(classes)),
    }
    if task.control and len(samples) > 1:
        other = _others(samples, len(samples), task.seed)
        values["control"] = intervals(
            naming.tally(other, _ranked(other, classes, scores), len(classes)), seed=task.seed
        )
    records = [
        Record(
            id=f"{sample.id}/{task.kind}",
            kind=task.kind,
            question=f"Which of {len(classes)} classes?",
            truth=sample.texts[0],
            answer=classes[int(row.argmax())],
            finish="stop",
            tokens=0,
            seconds=0.0,
            sample=sample.index,
            image={"dataset": task.data, "index": sample.index},
            parsed=classes[int(row.argmax())],
            correct=bool(rank == 1),
        )
        for sample, row, rank in zip(samples, scores, found, strict=True)
    ]
    return records, values


def _ranked(samples: Sequence[Sample], classes: Sequence[str], scores: Floats) -> NDArray[np.int64]:
    right = np.array([[name == sample.texts[0] for name in classes] for sample in samples])
    return ranks(scores, right)
