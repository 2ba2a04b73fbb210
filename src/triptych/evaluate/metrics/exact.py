"""Exact match, for short answers of which one is right."""

from __future__ import annotations

import string
from collections.abc import Callable, Mapping
from typing import ClassVar

from triptych.evaluate.parsers.conclusion import final_text
from triptych.evaluate.scoring.metric import AnswerMetric
from triptych.evaluate.scoring.rule import OURS, Rule, as_concluded, as_written, share_rule, truths_of
from triptych.evaluate.scoring.truths import none_given
from triptych.evaluate.tasks.question import Record

_NO_PUNCTUATION = str.maketrans("", "", string.punctuation)
_ARTICLES = frozenset({"a", "an", "the"})


class Exact(AnswerMetric):
    """Whether the answer is one of the true answers."""

    name = "exact"
    source = "D. Hudson, C. Manning, GQA, CVPR 2019"
    official: ClassVar[Mapping[str, str]] = {
        "lmms_eval": "lmms-eval's GQA",
        "original": "cs.stanford.edu/people/dorarad/gqa, eval.py",
    }

    def make_rules(self) -> dict[str, Rule]:
        """Ours, lmms-eval's, and the benchmark's own."""

        def best(
            score: Callable[[str, str], bool], text: Callable[[str], str]
        ) -> Callable[[Record, str | None], float]:
            return lambda r, _: max((float(score(text(r.answer), truth)) for truth in truths_of(r)), default=0.0)

        return {
            OURS: share_rule(as_concluded, best(exact_match, final_text)),
            "lmms_eval": share_rule(as_written, best(exact_script, str)),
            "original": share_rule(as_written, best(exact_original, str)),
        }

    check_truth = staticmethod(none_given)


def exact_match(answer: str, truth: str) -> bool:
    """Whether both are the same words; case, punctuation, white space and articles aside."""
    return _form(answer) == _form(truth) != ""


def exact_script(answer: str, truth: str) -> bool:
    """As lmms-eval scores GQA: case and ASCII punctuation aside, white space and articles not."""
    return answer.lower().translate(_NO_PUNCTUATION) == truth.lower().translate(_NO_PUNCTUATION)


def exact_original(answer: str, truth: str) -> bool:
    """As the script of GQA scores: the very same string."""
    return answer == truth


def _form(text: str) -> str:
    words = text.lower().translate(_NO_PUNCTUATION).split()
    return " ".join(word for word in words if word not in _ARTICLES)
