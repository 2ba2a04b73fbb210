"""Naming pictures by a class: by the nearest prompts (zero-shot), or by a linear probe on their features."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from triptych.evaluate.config import LinearProbeTaskConfig, ZeroShotTaskConfig
from triptych.evaluate.embedding.classes import classes_of, linear_probe, zero_shot
from triptych.evaluate.embedding.encoder import Embedder, Floats
from triptych.evaluate.embedding.ranks import ranks
from triptych.evaluate.embedding.samples import Sample, label_of
from triptych.evaluate.metrics.naming import Naming
from triptych.evaluate.task import Store
from triptych.evaluate.tasks.embedded import EmbeddedTask, with_others
from triptych.evaluate.tasks.question import Measured, Record
from triptych.progress import counted

if TYPE_CHECKING:
    from triptych.data.sources import Source


class _NamingTask(EmbeddedTask):
    """Every picture is named by one of the classes; the control has another picture's class for true."""

    classes: list[str]

    def named(self, samples: Sequence[Sample], scores: Floats) -> list[Measured]:
        """Records of the scores `[N, C]` of classes."""
        right = np.array([[name == sample.texts[0] for name in self.classes] for sample in samples])
        self.metrics = [Naming(len(self.classes))]
        return [
            self.record(
                sample,
                id=f"{sample.id}/{self.kind}",
                kind=self.kind,
                question=f"Which of {len(self.classes)} classes?",
                truth=sample.texts[0],
                answer=self.classes[int(row.argmax())],
                parsed=self.classes[int(row.argmax())],
                correct=bool(rank == 1),
                values={"rank": int(rank), "scores": row},
            )
            for sample, row, rank in zip(samples, scores, ranks(scores, right), strict=True)
        ]

    def control(self, model: Embedder, store: Store, records: Sequence[Record]) -> list[Record]:  # noqa: ARG002
        """See `Task`: each picture with the class of another one."""
        samples = self.samples_read
        if not self.config.control or len(samples) < 2:
            return []
        scores = np.stack([record.values["scores"] for record in records if isinstance(record, Measured)])
        return [*self.named(with_others(samples, len(samples), self.seed), scores)]


class ZeroShotTask(_NamingTask):
    """Each picture is named by the class whose prompts are nearest.

    Args:
        config: What the recipe says.
        source: Pictures with a class each.

    Raises:
        EvaluationError: The source does not fit the task, or a picture is of none of the classes.
    """

    kind = "zero_shot"
    config: ZeroShotTaskConfig

    def __init__(self, config: ZeroShotTaskConfig, source: Source, **given: Any) -> None:  # noqa: ARG002
        super().__init__(config, source, label_of)
        self.classes = classes_of(self.samples_read, config.classes, config.data)
        self.prompt = " | ".join(config.templates)

    def compare(self, model: Embedder) -> list[Measured]:
        return self.named(self.samples_read, zero_shot(self.samples_read, self.classes, self.config.templates, model))


class LinearProbeTask(_NamingTask):
    """Logistic regression on pooled features of pictures.

    Args:
        config: What the recipe says.
        source: Pictures with a class each.
        train_source: Likewise; the regression is fitted on them.

    Raises:
        EvaluationError: A source does not fit the task.
    """

    kind = "linear_probe"
    config: LinearProbeTaskConfig

    def __init__(
        self, config: LinearProbeTaskConfig, source: Source, *, train_source: Source | None = None, features: Any = None  # noqa: ARG002
    ) -> None:  # fmt: skip
        super().__init__(config, source, label_of, train_source)
        self.train = self.training_samples("the linear probe")
        self.classes = classes_of([*self.train, *self.samples_read], (), config.data)
        self.prompt = f"linear probe on {len(self.train):,} pictures of {config.train_data}"

    def compare(self, model: Embedder) -> list[Measured]:
        with counted("linear probe, to learn from", [sample.picture for sample in self.train], "pictures") as pictures:
            fitted = model.features(pictures), [sample.texts[0] for sample in self.train]
        with counted("linear probe", [sample.picture for sample in self.samples_read], "pictures") as pictures:
            features = model.features(pictures)
        return self.named(self.samples_read, linear_probe(fitted, features, self.classes, self.config.penalty))
