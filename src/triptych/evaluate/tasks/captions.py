"""Captioning: one caption per picture, scored against its reference captions by CIDEr-D, BLEU-4 and ROUGE-L."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from triptych.conversation import Medium
from triptych.errors import EvaluationError
from triptych.evaluate.metrics.caption import CaptionAsWritten
from triptych.evaluate.parsers import parse_free
from triptych.evaluate.results import TaskResult
from triptych.evaluate.scoring.cider import Cider
from triptych.evaluate.scoring.metric import Metric
from triptych.evaluate.scoring.tokenizer import tokenize
from triptych.evaluate.tasks.question import Question, Reading, Record, readable
from triptych.evaluate.tasks.recipe import RecipeTask

if TYPE_CHECKING:
    from triptych.data.sources import Source
    from triptych.evaluate.config import CaptionsTaskConfig

KIND = "caption"


@dataclass(frozen=True)
class Captioned:
    """A picture of a source with its reference captions: `id` of the picture, `index` of its first conversation."""

    id: str
    index: int
    media: tuple[Medium, ...]
    references: tuple[str, ...]


class CaptionsTask(RecipeTask):
    """One question per picture of a captioned source.

    Args:
        config: What the recipe says.
        source: Conversations whose `annotations["references"]` are all captions of their picture.
        given: See `RecipeTask`; the baselines take their captions from `train_source`, and `nearest` needs `features`.

    Raises:
        EvaluationError: A conversation has no references, or no picture; a baseline lacks what it needs.
    """

    kind = "captions"
    without_effect = (*RecipeTask.without_effect, "baselines", "train_data")
    same_question = True

    def __init__(self, config: CaptionsTaskConfig, source: Source, **given: Any) -> None:
        super().__init__(config, source, **given)
        self._baselines = config.baselines
        if config.baselines and self.train_source is None:
            raise EvaluationError(f"the baselines need the dataset {config.train_data!r}: pass it as `train_source`")
        if "nearest" in config.baselines and self.features is None:
            raise EvaluationError(
                "the baseline `nearest` needs an encoder's features: pass `features`, or leave it out"
            )
        pictures, faults = read_captions(source, config.data)
        self.prompt = config.prompt
        self.parsers = {KIND: "free"}
        questions = [
            Question(p.id, KIND, config.prompt, list(p.references), p.media, p.index, p.index)
            for p in pictures[: config.limit]
        ]
        self.reading = Reading(questions, {question.sample: question.media for question in questions}, faults)
        self.metrics = [CaptionAsWritten()]
        self.check_reading()

    @classmethod
    def metric_of(cls, result: TaskResult) -> Metric:  # noqa: ARG003 - the same for all
        return CaptionAsWritten()

    def judge(self, records: Sequence[Record]) -> list[Record]:
        """`correct` is the CIDEr-D of the caption (0 to 10) within the corpus of all records."""
        cider = Cider([[tokenize(caption) for caption in record.truth] for record in records])
        scores = cider.scores([tokenize(record.answer) for record in records])
        return [
            replace(record, parsed=parse_free(record.answer), correct=float(score))
            for record, score in zip(records, scores, strict=True)
        ]

    def baselines(self, model: Any, records: Sequence[Record]) -> dict[str, list[Record]]:  # noqa: ARG002
        """Captions of the training set: the most central one, and that of the nearest picture."""
        if not self._baselines:
            return {}
        from triptych.evaluate.tasks.baselines import central_caption, nearest_captions

        assert self.train_source is not None
        train, _ = read_captions(self.train_source, self.train_data)
        if not train:
            raise EvaluationError(f"{self.train_data}: has no captions for the baselines")
        answers: dict[str, list[str]] = {}
        if "central" in self._baselines:
            answers["central"] = [central_caption(train, seed=self.seed)] * len(records)
        if "nearest" in self._baselines:
            assert self.features is not None
            pictures = [Captioned(q.id, q.sample, q.media, ()) for q in self.reading.questions]
            answers["nearest"] = nearest_captions(pictures, train, self.features)
        return {
            name: [replace(record, answer=text) for record, text in zip(records, texts, strict=True)]
            for name, texts in answers.items()
        }


def read_captions(source: Source, dataset: str) -> tuple[list[Captioned], Counter[str]]:
    """The pictures of a source with their captions, each once however many conversations it has; what was unreadable.

    Raises:
        EvaluationError: A conversation has no reference captions, or no picture.
    """
    pictures: dict[str, Captioned] = {}
    faults: Counter[str] = Counter()
    for index, conversation in readable(source, faults):
        facts = conversation.annotations
        key = str(facts.get("image_id", conversation.id or index))
        if key in pictures:
            continue
        references = tuple(str(caption) for caption in facts.get("references") or ())
        media = next((message.media for message in conversation.messages if message.media), ())
        if not references or not media:
            lacks = "no picture" if references else "no `references` among its annotations"
            raise EvaluationError(
                f"{dataset}: {conversation.id or f'sample {index}'} has {lacks}; a task of `kind: captions` needs a "
                "dataset of `kind: coco_captions`, or one that annotates its conversations alike"
            )
        pictures[key] = Captioned(key, index, media, references)
    return list(pictures.values()), faults
