"""ANLS: average normalised Levenshtein similarity, for answers read off documents.

    ANLS(answer) = max over the truths of 1 - distance / longer length,  and 0 where that is under 0.5

Case and white space do not count. The official script measures the lengths *before* white space is tidied and after upper-casing, so that an answer followed by spaces
or holding an "ß" scores higher: `anls_script` is that, `anls` uses the lengths of what is compared.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import ClassVar

from triptych.evaluate.parsers.conclusion import final_text
from triptych.evaluate.scoring.metric import AnswerMetric
from triptych.evaluate.scoring.rule import OURS, Rule, as_concluded, as_written, share_rule, truths_of
from triptych.evaluate.scoring.truths import none_given

THRESHOLD = 0.5


class Anls(AnswerMetric):
    """Average normalised Levenshtein similarity; see the module."""

    name = "anls"
    source = 'A. F. Biten et al., "Scene text visual question answering", ICCV 2019'
    official: ClassVar[Mapping[str, str]] = {"script": "rrc.cvc.uab.es, task 17"}

    def make_rules(self) -> dict[str, Rule]:
        """Ours, and one with the lengths of the script."""
        return {
            OURS: share_rule(as_concluded, lambda r, _: anls(final_text(r.answer), truths_of(r)), "anls"),
            "script": share_rule(as_written, lambda r, _: anls_script(r.answer, truths_of(r)), "anls"),
        }

    check_truth = staticmethod(none_given)


def anls(answer: str, truths: Sequence[str], threshold: float = THRESHOLD) -> float:
    """ANLS in [0, 1] of one answer; 0 where there is no truth. Two empty texts are equal."""
    form = _form(answer)
    best = max((similarity(form, _form(truth)) for truth in truths), default=0.0)
    return best if best >= threshold else 0.0


def anls_script(answer: str, truths: Sequence[str], threshold: float = THRESHOLD) -> float:
    """ANLS as the official script computes it."""
    form, best = _form(answer), 0.0
    for truth in truths:
        longer = max(len(truth.upper()), len(answer.upper()))
        best = max(best, 1 - levenshtein(form, _form(truth)) / longer if longer else 1.0)
    return best if best >= threshold else 0.0


def similarity(a: str, b: str) -> float:
    """One minus the Levenshtein distance over the longer length."""
    longer = max(len(a), len(b))
    return 1 - levenshtein(a, b) / longer if longer else 1.0


def levenshtein(a: str, b: str) -> int:
    """The least number of insertions, deletions and substitutions of characters that make `a` into `b`."""
    if len(a) < len(b):
        a, b = b, a
    row = list(range(len(b) + 1))
    for i, mine in enumerate(a, start=1):
        diagonal, row[0] = row[0], i
        for j, other in enumerate(b, start=1):
            diagonal, row[j] = row[j], min(row[j] + 1, row[j - 1] + 1, diagonal + (mine != other))
    return row[-1]


def _form(text: str) -> str:
    return " ".join(text.strip().lower().split())
