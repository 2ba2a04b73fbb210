"""Retrieval benchmarks: pictures find their captions and captions their pictures, among all of the test split."""

from __future__ import annotations

from collections.abc import Sequence

from triptych.conversation import Conversation, user
from triptych.evaluate.benchmarks.config import TaskFile
from triptych.evaluate.benchmarks.items import Item
from triptych.evaluate.benchmarks.options import Options
from triptych.evaluate.benchmarks.readers.faults import Faults
from triptych.evaluate.config import RetrievalTaskConfig
from triptych.evaluate.tasks.retrieval import RetrievalTask


class _Captioned:
    """Items as a source: each picture with its captions."""

    def __init__(self, items: Sequence[Item]) -> None:
        self._items = items

    def __len__(self) -> int:
        return len(self._items)

    def __getitem__(self, index: int, /) -> Conversation:
        item = self._items[index]
        return Conversation((user(*item.images),), id=item.id, annotations={"references": list(item.truth)})


def retrieval_task(file: TaskFile, items: Sequence[Item], options: Options, faults: Faults) -> RetrievalTask:
    """R@1, R@5, R@10 both ways; one pool of all pictures, as published figures are.

    Args:
        file: The benchmark.
        items: Its pictures with their captions.
        options: `limit` and `seed` count.
        faults: The records that cannot be read.
    """
    config = RetrievalTaskConfig(data=file.name, pool=len(items), limit=options.limit, seed=options.seed)
    facts = {"title": file.title, "paper": file.paper, "headline": file.headline, "pool": len(items)}
    return RetrievalTask(config, _Captioned(items), facts=facts | faults.facts)
