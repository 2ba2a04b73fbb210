"""VQA accuracy: how many of the ten people who were asked said the same, leaving one out at a time.

    accuracy(answer) = mean over the people i of  min(1, #{people j ≠ i who said the answer} / 3)

Answers are compared after punctuation, articles, number words and lost apostrophes are normalised. Scripts disagree on
*what* is normalised:

| rule | the model's answer | people's answers | full stops |
| --- | --- | --- | --- |
| `vqa_accuracy` | normalised | normalised | all removed |
| `vqa_script` (VQAv2, OK-VQA) | normalised | punctuation only, and only where people disagree | the first 32 |
| `evalai` (TextVQA, VizWiz) | normalised, lower case first | the same | the first 32 |

So the script of VQAv2 scores "two" as wrong where ten people wrote "two" (it became "2" on one side only), and answers
of more than 32 full stops keep the rest: its `re.sub(…, re.UNICODE)` passes the flag as the count.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from functools import cache
from importlib import resources
from typing import ClassVar

from triptych.evaluate.parsers.conclusion import final_text
from triptych.evaluate.scoring.metric import AnswerMetric
from triptych.evaluate.scoring.rule import OURS, Rule, as_written, share_rule, truths_of
from triptych.evaluate.scoring.truths import none_given

_PUNCTUATION = tuple(';/[]"{}()=+\\_-><@`,?!')
_PERIOD = re.compile(r"(?!<=\d)(\.)(?!\d)")  # the official pattern: "(?!<=" was to be a look-behind and always holds
_COMMA_IN_NUMBER = re.compile(r"\d,\d")
_NUMBERS = {
    "none": "0", "zero": "0", "one": "1", "two": "2", "three": "3", "four": "4", "five": "5", "six": "6", "seven": "7",
    "eight": "8", "nine": "9", "ten": "10",
}  # fmt: skip
_ARTICLES = frozenset({"a", "an", "the"})
_OFFICIAL_PERIODS = int(re.UNICODE)


class Vqa(AnswerMetric):
    """VQA accuracy; see the module."""

    name = "vqa"
    source = 'S. Antol et al., "VQA: visual question answering", ICCV 2015; Y. Goyal et al., CVPR 2017'
    official: ClassVar[Mapping[str, str]] = {
        "vqa_script": "github.com/GT-Vision-Lab/VQA, vqaEvaluation/vqaEval.py",
        "evalai": "github.com/facebookresearch/mmf, m4c_evaluators.py (TextVQA), and VizWiz's evaluation server",
    }

    def make_rules(self) -> dict[str, Rule]:
        """Ours reads what is said after thinking and normalises both sides alike; the scripts read the whole answer."""

        def script(score: Callable[[str, Sequence[str]], float]) -> Rule:
            return share_rule(as_written, lambda record, _: score(record.answer, truths_of(record)))

        ours = share_rule(
            lambda record: normalise(final_text(record.answer)) or None,
            lambda record, parsed: (
                0.0 if parsed is None else vqa_accuracy(final_text(record.answer), truths_of(record))
            ),
        )
        return {OURS: ours, "vqa_script": script(vqa_script), "evalai": script(evalai)}

    check_truth = staticmethod(none_given)


@cache
def contractions() -> dict[str, str]:
    """Words without their apostrophe → with it: "dont" → "don't"."""
    text = resources.files("triptych.evaluate.metrics").joinpath("data/vqa_contractions.tsv").read_text("utf-8")
    return dict(line.split("\t") for line in text.splitlines() if not line.startswith("#"))


def normalise_punctuation(text: str, periods: int = 0) -> str:
    """Punctuation removed, or turned into a space within words; of full stops the first `periods`, 0 is all."""
    cleaned = text
    number = _COMMA_IN_NUMBER.search(text) is not None
    for mark in _PUNCTUATION:
        cleaned = cleaned.replace(mark, "" if number or mark + " " in text or " " + mark in text else " ")
    return _PERIOD.sub("", cleaned, count=periods)


def normalise_words(text: str) -> str:
    """Lower case, number words as digits, no articles, apostrophes restored, single spaces."""
    words = (_NUMBERS.get(word, word) for word in text.lower().split())
    return " ".join(contractions().get(word, word) for word in words if word not in _ARTICLES)


def normalise(text: str) -> str:
    """An answer in the form in which answers are compared.

    >>> normalise("The two dogs."), normalise("Dont know!"), normalise("1,000")
    ('2 dogs', "don't know", '1000')
    """
    return normalise_words(normalise_punctuation(_tidy(text)))


def leave_one_out(answer: str, truths: Sequence[str]) -> float:
    """The formula above, of an answer and people's answers in one form; 0 without people."""
    matches = Counter(truths)[answer]
    if not truths:
        return 0.0
    # Those who said the answer see one match fewer than those who did not.
    return (matches * min(1.0, (matches - 1) / 3) + (len(truths) - matches) * min(1.0, matches / 3)) / len(truths)


def vqa_accuracy(answer: str, truths: Sequence[str]) -> float:
    """VQA accuracy in [0, 1] with both sides normalised."""
    return leave_one_out(normalise(answer), [normalise(truth) for truth in truths])


def vqa_script(answer: str, truths: Sequence[str]) -> float:
    """VQA accuracy as the official script of VQAv2 and OK-VQA computes it."""
    form = normalise_words(normalise_punctuation(_tidy(answer), _OFFICIAL_PERIODS))
    if len(set(truths)) > 1:
        truths = [normalise_punctuation(truth, _OFFICIAL_PERIODS) for truth in truths]
    return leave_one_out(form, truths)


def evalai(answer: str, truths: Sequence[str]) -> float:
    """VQA accuracy as the evaluation server of TextVQA and VizWiz computes it."""
    return leave_one_out(_evalai_form(answer), [_evalai_form(truth) for truth in truths])


def _evalai_form(text: str) -> str:
    text = text.lower().replace(",", "").replace("?", "").replace("'s", " 's").strip()
    return normalise_words(normalise_punctuation(_tidy(text), _OFFICIAL_PERIODS))


def _tidy(text: str) -> str:
    return text.replace("\n", " ").replace("\t", " ").strip()
