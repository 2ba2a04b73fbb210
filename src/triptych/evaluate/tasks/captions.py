"""Captioning: one caption per picture, scored against its reference captions by CIDEr-D, BLEU-4 and ROUGE-L."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from triptych.conversation import Image
from triptych.errors import EvaluationError
from triptych.evaluate.metrics.bleu import bleu, bleu_sums
from triptych.evaluate.metrics.bootstrap import Tally
from triptych.evaluate.metrics.cider import Cider
from triptych.evaluate.metrics.classification import ratio
from triptych.evaluate.metrics.rouge import rouge_l
from triptych.evaluate.metrics.tokenizer import tokenize
from triptych.evaluate.parsers import parse_free
from triptych.evaluate.tasks.question import Question, Reading, Record, readable

if TYPE_CHECKING:
    from triptych.data.sources import Source
    from triptych.evaluate.config import CaptionsTaskConfig

KIND = "caption"


@dataclass(frozen=True)
class Captioned:
    """A picture of a source with its reference captions: `id` of the picture, `index` of its first conversation."""

    id: str
    index: int
    media: tuple[Image, ...]
    references: tuple[str, ...]


class CaptionsTask:
    """One question per picture of a captioned source.

    Args:
        config: What the recipe says.
        source: Conversations whose `annotations["references"]` are all captions of their picture.

    Raises:
        EvaluationError: A conversation has no references, or no picture.
    """

    def __init__(self, config: CaptionsTaskConfig, source: Source) -> None:
        pictures, faults = read_captions(source, config.data)
        self.prompt = config.prompt
        self.parsers = {KIND: "free"}
        questions = [
            Question(p.id, KIND, config.prompt, list(p.references), p.media, p.index, p.index)
            for p in pictures[: config.limit]
        ]
        self.reading = Reading(questions, {question.sample: question.media for question in questions}, faults)

    def judge(self, records: Sequence[Record]) -> list[Record]:
        """`correct` is the CIDEr-D of the caption (0 to 10) within the corpus of all records."""
        cider = Cider([[tokenize(caption) for caption in record.truth] for record in records])
        scores = cider.scores([tokenize(record.answer) for record in records])
        return [
            replace(record, parsed=parse_free(record.answer), correct=float(score))
            for record, score in zip(records, scores, strict=True)
        ]

    def tally(self, records: Sequence[Record]) -> Tally:
        """See `tally`."""
        return tally(records)

    def chance(self, records: Sequence[Record]) -> dict[str, float]:  # noqa: ARG002
        """None: the baselines and the control say what captions score without looking."""
        return {}


def tally(records: Sequence[Record]) -> Tally:
    """Captions as sums per picture. Scores: `cider_d` (0 to 10), `bleu_4`, `rouge_l` (0 to 1).

    The idf of CIDEr-D comes from the references of these records, and stays the same for every resample.
    """
    truths = [[tokenize(caption) for caption in record.truth] for record in records]
    answers = [tokenize(record.answer) for record in records]
    head = np.stack(
        [
            np.ones(len(records)),
            Cider(truths).scores(answers),
            [rouge_l(a, t) for a, t in zip(answers, truths, strict=True)],
        ],
        axis=1,
    )
    tail = np.stack([bleu_sums(answer, truth) for answer, truth in zip(answers, truths, strict=True)])

    def score(sums: NDArray[np.float64]) -> dict[str, NDArray[np.float64]]:
        return {
            "cider_d": ratio(sums[..., 1], sums[..., 0]),
            "bleu_4": bleu(sums[..., 3:]),
            "rouge_l": ratio(sums[..., 2], sums[..., 0]),
        }

    counts = dict.fromkeys(("cider_d", "bleu_4", "rouge_l"), len(records))
    return Tally([record.sample for record in records], np.concatenate([head, tail], axis=1), score, counts)


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
