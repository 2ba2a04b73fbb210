"""How well pictures are reconstructed: a task and a metric that Triptych has never heard of."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

import numpy as np

from triptych.data.sources import Source
from triptych.evaluate.config import BaseTaskConfig
from triptych.evaluate.scoring.bootstrap import Tally
from triptych.evaluate.scoring.metric import Metric
from triptych.evaluate.task import Store, Task
from triptych.evaluate.tasks.question import Record


class ReconstructionConfig(BaseTaskConfig):
    """Pictures through the codes and back."""

    implementation: ClassVar[str] = "vq_family.task:Reconstruction"
    needs: ClassVar[str] = "reconstructs"

    kind: str = "vq_family.task:ReconstructionConfig"


class PeakSignal(Metric):
    """Peak signal-to-noise ratio, in decibels, of the mean squared error over pictures."""

    name = "psnr"
    inputs = ("answer",)

    def tally(self, records: Sequence[Record]) -> Tally:
        """Sums of squared errors and counts."""
        sums = np.array([[float(record.answer), 1.0] for record in records])

        def score(totals: Any) -> dict[str, Any]:
            return {"psnr": -10 * np.log10(totals[..., 0] / totals[..., 1])}

        return Tally([record.sample for record in records], sums, score, {"psnr": len(records)})


class Reconstruction(Task):
    """Each picture's mean squared error is its answer."""

    kind = "vq_family.task:ReconstructionConfig"
    needs = "reconstructs"

    def __init__(self, config: ReconstructionConfig, source: Source, **_: Any) -> None:
        self.dataset, self.seed, self.source, self.limit = config.data, config.seed, source, config.limit
        self.metrics = [PeakSignal()]

    def answer(self, model: Any, store: Store) -> list[Record]:
        """A record a picture."""
        records = []
        for index in range(min(len(self.source), self.limit or len(self.source))):
            conversation = self.source[index]
            error = model.mean_squared_error(next(iter(conversation.media)))
            place = {"dataset": self.dataset, "index": index}
            records.append(Record(str(index), "picture", "", "", repr(error), "stop", 0, 0.0, index, place))
        return records
