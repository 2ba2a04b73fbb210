"""Retrieval benchmarks: pictures find their captions and captions their pictures, among all of the test split. For dual encoders."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from triptych.conversation import Conversation, user
from triptych.errors import EvaluationError
from triptych.evaluate.benchmarks.config import TaskFile
from triptych.evaluate.benchmarks.items import Item
from triptych.evaluate.benchmarks.readers import read
from triptych.evaluate.benchmarks.readers.faults import Faults
from triptych.evaluate.benchmarks.run import Options
from triptych.evaluate.config import RetrievalTaskConfig
from triptych.evaluate.embedding.encoder import Embedder
from triptych.evaluate.embedding.run import evaluate_embeddings
from triptych.evaluate.results import TaskResult


class _Captioned:
    """Items as a source: each picture with its captions."""

    def __init__(self, items: list[Item]) -> None:
        self._items = items

    def __len__(self) -> int:
        return len(self._items)

    def __getitem__(self, index: int, /) -> Conversation:
        item = self._items[index]
        return Conversation((user(*item.images),), id=item.id, annotations={"references": list(item.truth)})


def run_retrieval(
    file: TaskFile, model: Embedder, output: Path, fingerprint: str, options: Options | None = None
) -> TaskResult:
    """R@1, R@5, R@10 both ways; one pool of all pictures, as published figures are.

    Raises:
        DataError: The data is not there or malformed.
        EvaluationError: The task is no retrieval.
    """
    if file.metric != "retrieval":
        raise EvaluationError(
            f"{file.name}: is answered, and a dual encoder answers nothing; it takes retrieval benchmarks"
        )
    options = options or Options()
    faults = Faults()
    items = read(file, options.data, faults)[: options.limit]
    task = RetrievalTaskConfig(data=file.name, pool=len(items), limit=options.limit, seed=options.seed)
    done = evaluate_embeddings(model, _Captioned(items), task, output, name=file.name, fingerprint=fingerprint)
    facts: dict[str, Any] = {"title": file.title, "paper": file.paper, "headline": file.headline, "pool": len(items)}
    facts |= faults.facts
    return done.model_copy(update={"facts": facts})
