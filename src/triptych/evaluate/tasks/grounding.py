"""Grounding: expressions to find in pictures, and grounded captions to write, scored beside a baseline and the control."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from triptych.conversation import Image, Region
from triptych.conversation.region import NORMALISED
from triptych.data.reading import read_record
from triptych.errors import DataError, EvaluationError
from triptych.evaluate.asking import Asking
from triptych.evaluate.config import GroundingTaskConfig
from triptych.evaluate.metrics import build_all
from triptych.evaluate.metrics.grounded_captions import GroundedCaptions
from triptych.evaluate.metrics.grounding import Grounding, is_right
from triptych.evaluate.results import TaskResult, Unparsed
from triptych.evaluate.scoring.metric import Metric
from triptych.evaluate.scoring.regions import CAPTION, regions_of
from triptych.evaluate.task import AskedTask, Store, unparsed_of
from triptych.evaluate.tasks.expressions import ExpressionQuestion, in_words, read
from triptych.evaluate.tasks.question import Question, Record
from triptych.generate.config import GenerationSettings, Reply
from triptych.grounding import grounding
from triptych.grounding.grounding import Describer
from triptych.grounding.serial import region_values

if TYPE_CHECKING:
    from triptych.data.sources import Source

MEAN_BOX = "mean_box"
_WITHOUT_EFFECT = {"limit", "control", "failed_share", "captions", "masks", "train_data", "metrics"}


class GroundingTask(AskedTask):
    """Expressions, each asked for on its own, and grounded captions where the model can write them.

    Args:
        config: What the recipe says; its `generation` is what the grounder was made with, and how many questions it
            is asked at once.
        source: Conversations with `annotations["grounding"]` (and `["grounded_caption"]`): `Expression`s.
        train_source: The dataset whose mean box is the baseline; by default the mean of the true boxes asked for.

    Raises:
        EvaluationError: The source has no expressions, or too much of it cannot be read.
    """

    kind = "grounding"
    needs = "grounds"

    def __init__(
        self, config: GroundingTaskConfig, source: Source, *, train_source: Source | None = None, features: Any = None  # noqa: ARG002
    ) -> None:  # fmt: skip
        self.config, self.source, self.train_source = config, source, train_source
        self.dataset, self.seed = config.data, config.seed
        self.decoding, self.failed_share = config.generation or GenerationSettings(), config.failed_share
        self.has_control, self.further = config.control, build_all(config.metrics)
        self.metrics = [Grounding(config.masks), GroundedCaptions(config.masks)]

    @classmethod
    def metric_of(cls, result: TaskResult) -> Metric:
        """Of expressions; captions are left out."""
        return Grounding("ciou" in result.metrics)

    def settings(self) -> dict[str, Any]:
        """What the recipe says, without what no answer depends on; the batch size is part of that."""
        settings = self.config.model_dump(mode="json", exclude=_WITHOUT_EFFECT)
        return settings | {"generation": self.decoding.model_dump(mode="json", exclude={"batch_size"})}

    def asking(self, model: Any, progress: bool) -> Asking:
        """A grounder has its own settings of generation; here they say how many expressions it gets at once."""
        return _Pointing(model, self.decoding, self.dataset, self.failed_share, progress)

    def prepare(self, model: Any) -> None:
        """Read the source; a model that describes pictures is asked for captions, too."""
        self.reading = read(self.source, self.config, isinstance(model, Describer))

    def answer(self, model: Any, store: Store) -> list[Record]:
        records = super().answer(model, store)
        kinds = dict.fromkeys(record.kind for record in records)
        self.parsers = dict.fromkeys(kinds, "regions")
        prompts = [model.prompt] if any(kind != CAPTION for kind in kinds) else []
        self.prompt = "\n".join([*prompts, *([model.caption_prompt] if CAPTION in kinds else [])])
        return records

    def judge(self, records: Sequence[Record]) -> list[Record]:
        """Whether expressions were answered right; a caption is neither right nor wrong."""
        return [record if record.kind == CAPTION else replace(record, correct=is_right(record)) for record in records]

    def unparsed(self, records: Sequence[Record]) -> Unparsed:
        """Answers that are invalid count, too; their records say why."""
        return unparsed_of(records, nothing=(None, "invalid")).model_copy(update={"reasons": {}})

    def baselines(self, model: Any, records: Sequence[Record]) -> dict[str, list[Record]]:  # noqa: ARG002
        """The mean box of the training set, given to every expression."""
        records = [record for record in records if record.kind != CAPTION]
        source = self.train_source
        truths = _training_boxes(source) if source is not None else (r for each in records for r in regions_of(each)[0])
        boxes = np.array([region.normalised for region in truths], np.float64)
        if not records or not len(boxes):
            return {}
        left, top, right, bottom = boxes.mean(axis=0).tolist()
        given = [region_values(Region((left, top, right, bottom), NORMALISED))]
        given[0]["box"] = [left, top, right, bottom]  # all digits: they are shares of the picture
        answers = [
            replace(record, regions={**(record.regions or {}), "found": given}, parsed="valid", error=None)
            for record in records
        ]
        return {MEAN_BOX: self.judge(answers)}


@dataclass(frozen=True)
class _Pointing(Asking):
    """Puts expressions to a grounder; its answers, regions and all, are kept until they are recorded."""

    given: dict[str, grounding.Grounding] = field(default_factory=dict, init=False, repr=False)

    def _put(self, questions: Sequence[Question]) -> Sequence[Reply]:
        grounder: Any = self.responder
        captions = [question for question in questions if question.kind == CAPTION]
        phrases = [question for question in questions if question.kind != CAPTION]
        answers: list[grounding.Grounding] = []
        if phrases:
            answers += grounder.ground_many([(question.media[0], question.text) for question in phrases])
        if captions:
            answers += grounder.describe_many([question.media[0] for question in captions])
        if len(answers) != len(questions):
            raise EvaluationError(f"the grounder gave {len(answers)} answers to {len(questions)} questions")
        self.given.update({q.id: each for q, each in zip([*phrases, *captions], answers, strict=True)})
        return [Reply(self.given[question.id].text, 0, "stop") for question in questions]

    def _record(self, question: Question, reply: Reply | str, seconds: float) -> Record:
        assert isinstance(question, ExpressionQuestion)
        given = self.given.pop(question.id, None)
        record = super()._record(question, reply, seconds)
        return replace(record, **_answered(question, given if record.error is None else None, _size(question)))


def _size(question: Question) -> list[int] | None:
    """Width and height of the picture shown; None where it cannot be read."""
    shown = question.media[0]
    try:
        frame = shown.frame if isinstance(shown, Image) else None
    except DataError:
        return None
    if frame is None:
        return None
    return [round(frame.width), round(frame.height)]


def _answered(
    question: ExpressionQuestion, given: grounding.Grounding | None, size: list[int] | None
) -> dict[str, Any]:
    """What a record says about regions, and the verdict as `parsed`."""
    regions: dict[str, Any] = {"truth": [region_values(region) for region in question.regions], "found": []}
    if size is not None:
        regions["size"] = size
    if given is None:
        return {"regions": regions, "parsed": None}
    regions["found"] = [region_values(region, score) for region, score in zip(given.regions, given.scores, strict=True)]
    verdict = given.verdict if given.regions or given.verdict == "invalid" else "none"
    reason = given.reason or None if verdict == "invalid" else None
    return {"regions": regions, "parsed": verdict, "answer": given.text or in_words(given.regions), "reason": reason}


def _training_boxes(source: Source, most: int = 2000) -> Iterator[Region]:
    for index in range(min(len(source), most)):
        try:
            expressions = read_record(source, index).annotations.get("grounding") or ()
        except DataError:
            continue
        for expression in expressions:
            yield from expression.regions
