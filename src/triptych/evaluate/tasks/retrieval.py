"""Retrieval: pictures find their texts, and texts their pictures, in pools."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from triptych.evaluate.config import RetrievalTaskConfig
from triptych.evaluate.embedding.encoder import Embedder
from triptych.evaluate.embedding.matrix import write_matrix
from triptych.evaluate.embedding.retrieval import search
from triptych.evaluate.embedding.samples import Sample, texts_of
from triptych.evaluate.metrics.retrieval import WAYS, Retrieval
from triptych.evaluate.task import Store
from triptych.evaluate.tasks.embedded import EmbeddedTask, with_others
from triptych.evaluate.tasks.question import Measured, Record

if TYPE_CHECKING:
    from triptych.data.sources import Source


class RetrievalTask(EmbeddedTask):
    """Every picture and every text of a source as a query in its pool.

    Args:
        config: What the recipe says.
        source: Pictures with texts.
        train_source: The dataset that the baseline `ridge` is fitted on.
        facts: What the result says beside its scores.

    Raises:
        EvaluationError: The source does not fit the task, or a baseline lacks its dataset.
    """

    kind = "retrieval"
    config: RetrievalTaskConfig

    def __init__(
        self, config: RetrievalTaskConfig, source: Source, *, train_source: Source | None = None, features: Any = None,  # noqa: ARG002
        facts: Mapping[str, Any] | None = None,
    ) -> None:  # fmt: skip
        super().__init__(config, source, texts_of, train_source)
        self.prompt = f"{config.pool}-way retrieval"
        self.metrics = [Retrieval([k for k in config.at if k < config.pool])]
        self._facts = dict(facts or {})
        for name in config.baselines:
            self.check_training(f"the baseline {name!r}")

    def compare(self, model: Embedder) -> list[Measured]:
        return self._search(self.samples_read, model, self.config.rerank)

    def answer(self, model: Embedder, store: Store) -> list[Record]:
        """See `Task`; some of the cosines are kept for the report."""
        records = super().answer(model, store)
        write_matrix(store.folder / f"{store.name}.matrix.json", model, self.samples_read, self.dataset)
        return records

    def control(self, model: Embedder, store: Store, records: Sequence[Record]) -> list[Record]:  # noqa: ARG002
        """See `Task`: each picture with the texts of another one."""
        if not self.config.control:
            return []
        return [*self._search(with_others(self.samples_read, self.config.pool, self.seed), model, self.config.rerank)]

    def baselines(self, model: Embedder, records: Sequence[Record]) -> dict[str, list[Record]]:  # noqa: ARG002
        """`ridge`, a linear regression; and `cosines`, the order before re-ranking."""
        measured: dict[str, list[Record]] = {}
        if "ridge" in self.config.baselines:
            from triptych.evaluate.embedding import ridge

            train = self.training_samples("the baseline 'ridge'")
            once = list({sample.picture.content_hash: sample for sample in train}.values())
            measured["ridge"] = [*self._search(self.samples_read, ridge.fit(model, once, self.seed))]
        if self.config.rerank is not None:
            measured["cosines"] = [*self._search(self.samples_read, model)]
        return measured

    def facts(self, records: Sequence[Record]) -> dict[str, Any]:  # noqa: ARG002 - the same for all
        return self._facts

    def _search(self, samples: Sequence[Sample], model: Embedder, rerank: int | None = None) -> list[Measured]:
        return [
            self._record(number, query, samples)
            for number, query in enumerate(search(samples, model, self.config.pool, self.dataset, rerank))
        ]

    def _record(self, number: int, query: Any, samples: Sequence[Sample]) -> Measured:
        sample, candidates = samples[query.sample], query.candidates
        forward = query.way == WAYS[0]
        return self.record(
            sample,
            id=f"{sample.id}/{query.way}/{number}",
            kind=query.way,
            question=f"Which of {candidates} texts?" if forward else f"Which of {candidates} pictures: {query.text}",
            truth=list(sample.texts) if forward else query.text,
            answer=query.first if isinstance(query.first, str) else samples[query.first].texts[0],
            parsed=f"rank {query.rank}",
            correct=query.rank == 1,
            values={"rank": query.rank, "candidates": candidates, "right": query.right},
        )
