"""What tasks have in common in which directions are compared, and nobody is asked anything."""

from __future__ import annotations

import time
from abc import abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from triptych.conversation import Conversation
from triptych.errors import EvaluationError
from triptych.evaluate.embedding.encoder import Embedder
from triptych.evaluate.embedding.samples import Sample, read
from triptych.evaluate.metrics import build_all
from triptych.evaluate.results import Unparsed
from triptych.evaluate.task import Store, Task
from triptych.evaluate.tasks.question import Measured, Record

if TYPE_CHECKING:
    from triptych.data.sources import Source
    from triptych.evaluate.config import EmbeddingTaskConfig


class EmbeddedTask(Task):
    """Pictures that are compared with texts, or described by features.

    Args:
        config: What the recipe says.
        source: The dataset that `config.data` names.
        texts: What belongs to the picture of a conversation: its texts, or its class.
        train_source: The dataset that `config.train_data` names.

    Raises:
        EvaluationError: The source does not fit the task.
    """

    needs = "embeds"
    config: EmbeddingTaskConfig

    def __init__(
        self,
        config: EmbeddingTaskConfig,
        source: Source,
        texts: Callable[[Conversation], tuple[str, ...]],
        train_source: Source | None = None,
    ) -> None:
        self.config, self.dataset, self.seed = config, config.data, config.seed
        self.further = build_all(config.metrics)
        self._texts, self.train_source = texts, train_source
        self.samples_read, self.faults = read(source, texts, config.limit, config.data, config.failed_share)

    @abstractmethod
    def compare(self, model: Embedder) -> list[Measured]:
        """A record of each comparison."""

    def answer(self, model: Embedder, store: Store) -> list[Record]:  # noqa: ARG002
        """See `Task`; each record has its share of the time."""
        began = time.perf_counter()
        records = self.compare(model)
        share = round((time.perf_counter() - began) / len(records), 6)
        return [replace(record, seconds=share) for record in records]

    def unparsed(self, records: Sequence[Record]) -> Unparsed:  # noqa: ARG002 - nothing is parsed
        """None: nothing is said that would have to be read."""
        return Unparsed(count=0, share=0.0)

    def training_samples(self, what: str) -> list[Sample]:
        """The samples of `train_data`.

        Raises:
            EvaluationError: It was not passed, or cannot be used.
        """
        self.check_training(what)
        assert self.train_source is not None
        return read(self.train_source, self._texts, None, self._train_data, self.config.failed_share)[0]

    def check_training(self, what: str) -> None:
        """Raise EvaluationError if what is fitted on `train_data` lacks it."""
        if self.train_source is None:
            raise EvaluationError(f"{what} needs the dataset {self._train_data!r}: pass it as `train_source`")

    @property
    def _train_data(self) -> str:
        return str(getattr(self.config, "train_data", None) or "")

    def record(self, sample: Sample, **given: Any) -> Measured:
        """A record about a sample."""
        image = {"dataset": self.dataset, "index": sample.index}
        return Measured(finish="stop", tokens=0, seconds=0.0, sample=sample.index, image=image, **given)


def with_others(samples: Sequence[Sample], pool: int, seed: int) -> list[Sample]:
    """The samples, each with the texts of another one of its pool: the control."""
    generator = np.random.default_rng(seed)
    others = list(samples)
    for start in range(0, len(samples) - pool + 1, pool):
        order = generator.permutation(pool)
        for here, there in zip(order, np.roll(order, 1), strict=True):
            others[start + here] = replace(samples[start + here], texts=samples[start + there].texts)
    return others
