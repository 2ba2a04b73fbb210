"""The same numbers by our rules, named as in `official.json`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from triptych.evaluate.metrics import hallusion, mme
from triptych.evaluate.metrics.anls import anls_script
from triptych.evaluate.metrics.boxes import iou, script_box
from triptych.evaluate.metrics.chair_script import script_words
from triptych.evaluate.metrics.exact import exact_script
from triptych.evaluate.metrics.relaxed import relaxed_script
from triptych.evaluate.metrics.vqa import evalai, vqa_script
from triptych.evaluate.parsers import official, parse_yes_no

Case = tuple[str, list[str]]

BLOCK = 100
"""Scores over many questions are taken of so many at a time."""


def subtask(place: int) -> str:
    """The subtask of MME that a question of a block belongs to."""
    return mme.SUBTASKS[(place // 2) % len(mme.SUBTASKS)]


def place(number: int) -> dict[str, str]:
    """Where in HallusionBench a question of a block is."""
    set_, rest = divmod(number, 6)
    figure, question = divmod(rest, 3)
    return {
        "category": "VD",
        "subcategory": "chart",
        "set_id": str(set_),
        "figure_id": str(figure),
        "question_id": str(question),
    }


def reads(answer: str) -> str | None:
    """A yes or a no."""
    return parse_yes_no(answer)


def _pope(rule: str) -> Callable[[list[Case]], list[float]]:
    from triptych.evaluate.benchmarks import catalogue
    from triptych.evaluate.benchmarks.rules import rules_of
    from triptych.evaluate.tasks.question import Record

    made = rules_of(catalogue.load("pope"))[rule]

    def run(cases: list[Case]) -> list[float]:
        found: list[float] = []
        for start in range(0, len(cases), BLOCK):
            records = [
                made.judge(Record(str(i), "k", "q", truth[0], answer, "stop", 1, 0.0, i))
                for i, (answer, truth) in enumerate(cases[start : start + BLOCK])
            ]
            tally = made.tally(records)
            scores = tally.score(tally.sums.sum(axis=0))
            found += [float(scores[name]) for name in ("accuracy", "precision", "recall", "f1", "yes_ratio")]
        return found

    return run


def _mme(cases: list[Case]) -> list[float]:
    found: list[float] = []
    for start in range(0, len(cases), BLOCK):
        part = cases[start : start + BLOCK]
        right = [official.prefix_yes_no(answer) == truth[0] for answer, truth in part]
        sums = np.sum([mme.mme_row(subtask(i), right[i : i + 2]) for i in range(0, len(part), 2)], axis=0)
        scores = mme.mme_scores(sums)
        found += [float(scores["perception"]), float(scores["cognition"])]
    return found


def _hallusion(cases: list[Case]) -> list[float]:
    found: list[float] = []
    for start in range(0, len(cases), BLOCK):
        sets: dict[str, list[tuple[str, str, bool, bool]]] = {}
        for i, (answer, truth) in enumerate(cases[start : start + BLOCK]):
            at = place(i)
            sets.setdefault(at["set_id"], []).append(
                (at["question_id"], at["figure_id"], reads(answer) == truth[0], True)
            )
        scores = hallusion.hallusion_scores(np.sum([hallusion.hallusion_row(rows) for rows in sets.values()], axis=0))
        found += [float(scores[name]) for name in ("a_acc", "q_acc", "f_acc")]
    return found


def _letters(options: list[str]) -> dict[str, str]:
    return dict(zip("ABCD", options, strict=False))


OURS: dict[str, Callable[[list[Case]], list[Any]]] = {
    "vqa_script": lambda cases: [vqa_script(a, t) for a, t in cases],
    "evalai": lambda cases: [evalai(a, t) for a, t in cases],
    "pope_script": _pope("pope_script"),
    "pope_lmms": _pope("lmms_eval"),
    "mme": _mme,
    "hallusion": _hallusion,
    "anls": lambda cases: [anls_script(a, t) for a, t in cases],
    "relaxed": lambda cases: [float(relaxed_script(a, t[0])) for a, t in cases],
    "exact": lambda cases: [float(exact_script(a, t[0])) for a, t in cases],
    "mmmu": lambda cases: [official.mmmu_letter(a, _letters(t)) for a, t in cases],
    "mmbench": lambda cases: [official.mmbench_letter(a, _letters(t)) for a, t in cases],
    "scienceqa": lambda cases: [
        [float(official.scienceqa_letter(a) == letter) for letter in _letters(t)] for a, t in cases
    ],
    "boxes": lambda cases: [iou(script_box(a), [float(x) for x in t[0].split(",")]) for a, t in cases],
    "chair": lambda cases: [[name for _, name in script_words(a)] for a, _ in cases],
}
