"""Whether an answer holds the text that is to be read off a picture.

The script asks whether the true text is anywhere in the answer: "12" is found in "1234", and who recites a dictionary is always right.
`contains` wants it at the edges of words, and hardly more said than it.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import ClassVar

from triptych.evaluate.scoring.metric import AnswerMetric
from triptych.evaluate.scoring.rule import OURS, Rule, as_concluded, as_written, share_rule, truths_of
from triptych.evaluate.scoring.truths import none_given
from triptych.evaluate.tasks.question import Record

MORE = 30
"""How many words may stand beside the true text: a sentence about it, but no list of guesses."""

_WIDE = {0xFF01 + offset: 0x21 + offset for offset in range(94)} | {0x3000: 0x20}


class Contains(AnswerMetric):
    """Whether one of the true texts stands in the answer; formulas (HME100k) are compared without spaces."""

    name = "contains"
    source = "Y. Liu et al., OCRBench, 2024"
    official: ClassVar[Mapping[str, str]] = {"ocrbench": "github.com/Yuliang-Liu/MultimodalOCR, OCRBench/example.py"}

    def make_rules(self) -> dict[str, Rule]:
        """Ours, and OCRBench's."""

        def formula(record: Record) -> bool:
            return str(record.facts.get("dataset", "")) == "HME100k"

        def ours(record: Record, parsed: str | None) -> bool:
            return parsed is not None and any(contains(parsed, truth, formula(record)) for truth in truths_of(record))

        def script(record: Record, _: str | None) -> bool:
            return any(contains_script(record.answer, truth, formula(record)) for truth in truths_of(record))

        return {OURS: share_rule(as_concluded, ours), "ocrbench": share_rule(as_written, script)}

    check_truth = staticmethod(none_given)


def contains(answer: str, truth: str, formula: bool = False) -> bool:
    """Whether the true text stands in an answer that says at most `MORE` words beside it; case and width aside.

    Args:
        answer: What was said.
        truth: The text in the picture.
        formula: Written in TeX: white space does not count, case does.
    """
    if not truth.strip():
        return False
    if formula:
        reply, true = "".join(answer.split()), "".join(truth.split())
        return true in reply and len(reply) <= len(true) + 6 * MORE
    reply, true = (" ".join(text.translate(_WIDE).lower().split()) for text in (answer, truth))
    if len(reply.split()) > len(true.split()) + MORE:
        return False
    before = r"(?<![a-z0-9])" if true[0].isascii() and true[0].isalnum() else ""
    after = r"(?![a-z0-9])" if true[-1].isascii() and true[-1].isalnum() else ""
    return re.search(before + re.escape(true) + after, reply) is not None


def contains_script(answer: str, truth: str, formula: bool = False) -> bool:
    """As OCRBench's script has it."""
    if formula:
        return _formula(truth) in _formula(answer)
    return truth.lower().strip().replace("\n", " ") in answer.lower().strip().replace("\n", " ")


def _formula(text: str) -> str:
    return text.strip().replace("\n", " ").replace(" ", "")
