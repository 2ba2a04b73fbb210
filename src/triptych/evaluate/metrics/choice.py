"""Questions with options: right is the letter of the true one."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import ClassVar

import numpy as np

from triptych.evaluate.benchmarks.items import LETTERS
from triptych.evaluate.parsers import official
from triptych.evaluate.parsers.options import read_option
from triptych.evaluate.scoring.metric import AnswerMetric
from triptych.evaluate.scoring.rule import MEAN_OF_KINDS, OURS, Parsed, Rule, share_rule
from triptych.evaluate.tasks.question import Record


class Choice(AnswerMetric):
    """Accuracy of choices."""

    name = "choice"
    inputs = ("answer", "truth", "facts.options")
    official: ClassVar[Mapping[str, str]] = {
        "scienceqa": "github.com/haotian-liu/LLaVA, llava/eval/eval_science_qa.py",
        "seed": "github.com/AILab-CVC/SEED-Bench, eval.py",
        "ai2d": "lmms-eval's AI2D",
        "mmmu": "github.com/MMMU-Benchmark/MMMU, eval/eval_utils.py, without its random options",
        "mmmu_pro": "github.com/MMMU-Benchmark/MMMU, mmmu-pro/evaluate.py",
        "mmbench": "github.com/open-compass/VLMEvalKit, before ChatGPT is asked",
        "mmstar": "github.com/MMStar-Benchmark/MMStar, eval/vlmeval/evaluate/mmstar.py",
        "lmms_eval": "lmms-eval's BLINK",
    }

    def make_rules(self) -> dict[str, Rule]:
        """Ours, and one for each way in which a script reads letters."""
        return {
            OURS: _rule(lambda r: read_option(r.answer, choices_of(r))),
            "scienceqa": _rule(lambda r: official.scienceqa_letter(r.answer)),
            "seed": _rule(lambda r: official.first_character(r.answer)),
            "ai2d": _rule(lambda r: official.leading_letter(r.answer)),
            "mmmu": _rule(lambda r: official.mmmu_letter(r.answer, choices_of(r))),
            "mmmu_pro": _rule(lambda r: official.mmmu_pro_letter(r.answer, choices_of(r))),
            "mmbench": _rule(lambda r: official.mmbench_letter(r.answer, choices_of(r))),
            "mmstar": _rule(lambda r: official.mmstar_letter(r.answer)),
            "lmms_eval": _rule(lambda r: official.blink_letter(r.answer, choices_of(r))),
        }

    def constants(self, records: Sequence[Record]) -> Iterator[str]:
        """Every letter."""
        letters = {x for r in records for x in r.facts.get("letters") or LETTERS[: len(r.facts["options"])]}
        yield from sorted(letters)

    def blind(self, records: Sequence[Record]) -> dict[str, float]:
        """A die with a side for each option."""
        shares = [1 / options_of(record) for record in records]
        scores = {"accuracy": float(np.mean(shares))}
        if self.scoring.mean_of_kinds:
            kinds = dict.fromkeys(record.kind for record in records)
            each = [[n for n, r in zip(shares, records, strict=True) if r.kind == kind] for kind in kinds]
            scores[MEAN_OF_KINDS] = float(np.mean([np.mean(part) for part in each]))
        return scores


def choices_of(record: Record) -> dict[str, str]:
    """The options of a record by letter; none where it is no choice question."""
    return dict(zip(record.facts.get("letters") or LETTERS, record.facts.get("options", ()), strict=False))


def options_of(record: Record) -> int:
    """How many options a record has, one at least."""
    return max(1, len(record.facts["options"]))


def _rule(parse: Callable[[Record], Parsed]) -> Rule:
    return share_rule(parse, lambda record, parsed: parsed is not None and parsed == record.truth)
