"""Captions against the reference captions of their picture: CIDEr-D (0 to 10), BLEU-4 and ROUGE-L (0 to 1)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from triptych.evaluate.parsers.conclusion import final_text
from triptych.evaluate.scoring.bleu import bleu, bleu_sums
from triptych.evaluate.scoring.bootstrap import Tally
from triptych.evaluate.scoring.cider import Cider
from triptych.evaluate.scoring.java import check_available, java_tally
from triptych.evaluate.scoring.metric import AnswerMetric
from triptych.evaluate.scoring.rouge import rouge_l
from triptych.evaluate.scoring.rule import OURS, Rule, as_concluded, as_written
from triptych.evaluate.scoring.tallies import ratio
from triptych.evaluate.scoring.tokenizer import tokenize
from triptych.evaluate.scoring.truths import none_given
from triptych.evaluate.tasks.question import Record


class Caption(AnswerMetric):
    """CIDEr-D, BLEU-4 and ROUGE-L of what is said after thinking."""

    name = "caption"
    source = "R. Vedantam et al., CVPR 2015 (CIDEr); K. Papineni et al., ACL 2002 (BLEU); C.-Y. Lin, 2004 (ROUGE)"
    official: ClassVar[Mapping[str, str]] = {
        "pycocoevalcap": "github.com/salaniz/pycocoevalcap, with its Java programs"
    }
    same_question = True

    def make_rules(self) -> dict[str, Rule]:
        """Ours."""

        def judge(record: Record) -> Record:
            return replace(record, parsed=as_concluded(record), correct=bool(final_text(record.answer).strip()))

        def tally(records: Sequence[Record]) -> Tally:
            return caption_tally([replace(record, answer=final_text(record.answer)) for record in records])

        return {OURS: Rule(judge, tally)}

    def external_rules(self) -> dict[str, Rule]:
        """pycocoevalcap, METEOR among its scores; it and a Java runtime must be there."""
        check_available()
        return {"pycocoevalcap": Rule(lambda record: replace(record, parsed=as_written(record)), java_tally)}

    def constants(self, records: Sequence[Record]) -> Iterator[str]:
        """The caption that is most like the others: what a model says that has seen captions and no picture."""
        captions = [truth for record in records for truth in record.truth]
        sample = [tokenize(caption) for caption in captions[:: max(1, len(captions) // 200)]]
        if sample:
            cider = Cider([sample, [["\0"]]])
            yield " ".join(sample[int(np.argmax([cider.score(words, 0) for words in sample]))])

    check_truth = staticmethod(none_given)


class CaptionAsWritten(Caption):
    """The same scores of the whole answer, of models that do not think."""

    def tally(self, records: Sequence[Record]) -> Tally:
        """See `caption_tally`."""
        return caption_tally(records)

    def chance(self, records: Sequence[Record]) -> dict[str, float]:  # noqa: ARG002 - see below
        """None: baselines and the control say what captions score without looking."""
        return {}


def caption_tally(records: Sequence[Record]) -> Tally:
    """Captions as sums per picture. Scores: `cider_d`, `bleu_4`, `rouge_l`.

    The idf of CIDEr-D comes from the references of these records, and stays the same for every resample.
    """
    truths = [[tokenize(caption) for caption in record.truth] for record in records]
    answers = [tokenize(record.answer) for record in records]
    pairs = list(zip(answers, truths, strict=True))
    rouge = np.array([rouge_l(*pair) for pair in pairs])
    head = [np.ones(len(records)), Cider(truths).scores(answers), rouge]
    tail = np.stack([bleu_sums(*pair) for pair in pairs])

    def score(sums: NDArray[np.float64]) -> dict[str, NDArray[np.float64]]:
        return {
            "cider_d": ratio(sums[..., 1], sums[..., 0]),
            "bleu_4": bleu(sums[..., 3:]),
            "rouge_l": ratio(sums[..., 2], sums[..., 0]),
        }

    counts = dict.fromkeys(("cider_d", "bleu_4", "rouge_l"), len(records))
    sums = np.concatenate([np.stack(head, axis=1), tail], axis=1)
    return Tally([record.sample for record in records], sums, score, counts)
