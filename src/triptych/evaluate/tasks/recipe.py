"""What tasks of a recipe have in common that are asked question by question."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from triptych.conversation import Medium
from triptych.evaluate.metrics import build_all
from triptych.evaluate.task import AskedTask, check_faults, check_questions

if TYPE_CHECKING:
    from triptych.data.sources import Source

Features = Callable[[Sequence[Medium]], "np.ndarray[Any, np.dtype[np.floating[Any]]]"]
"""Pictures → one pooled feature vector each, `[N, D]`."""


class RecipeTask(AskedTask):
    """A task that a recipe describes. A task of your own has the same constructor.

    Args:
        config: What the recipe says, `generation` among it.
        source: The dataset that `config.data` names.
        train_source: The dataset that `config.train_data` names, for baselines.
        features: Of pictures, for baselines that compare them.

    Attributes:
        without_effect: Settings that may change between two starts of an evaluation: no answer depends on them.
    """

    without_effect: ClassVar[tuple[str, ...]] = ("limit", "control", "failed_share", "metrics")

    def __init__(
        self,
        config: Any,
        source: Source,
        *,
        train_source: Source | None = None,
        features: Features | None = None,
    ) -> None:
        self.config, self.source = config, source
        self.train_source, self.features = train_source, features
        self.train_data = str(getattr(config, "train_data", None) or "")
        self.dataset, self.seed = config.data, config.seed
        self.decoding, self.failed_share = config.generation, config.failed_share
        self.has_control, self.further = config.control, build_all(config.metrics)

    def settings(self) -> dict[str, Any]:
        """What the recipe says, without what no answer depends on; the batch size is part of that."""
        settings: dict[str, Any] = self.config.model_dump(mode="json", exclude=set(self.without_effect))
        del settings["generation"]["batch_size"]
        return settings

    def check_reading(self) -> None:
        """Raise EvaluationError if too much cannot be read, there is nothing to ask, or ids are not unique."""
        check_faults(self.faults, len(self.source), self.dataset, self.failed_share)
        check_questions(self.reading.questions, self.dataset)
