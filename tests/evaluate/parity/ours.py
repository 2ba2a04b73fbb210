"""The same numbers by our rules, named as in `official.json`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from triptych.evaluate.benchmarks.verdicts import llava_script, mmhal_script, mmvet_script
from triptych.evaluate.metrics import amber, hallusion, mme
from triptych.evaluate.metrics.anls import anls_script
from triptych.evaluate.metrics.bleu import bleu, bleu_sums
from triptych.evaluate.metrics.boxes import iou, script_box
from triptych.evaluate.metrics.chair import chair_row, chair_scores
from triptych.evaluate.metrics.chair_script import script_words
from triptych.evaluate.metrics.cider import Cider
from triptych.evaluate.metrics.contains import contains_script
from triptych.evaluate.metrics.exact import exact_script
from triptych.evaluate.metrics.fid import frechet_distance
from triptych.evaluate.metrics.mathvista import mathvista_script
from triptych.evaluate.metrics.relaxed import relaxed_script
from triptych.evaluate.metrics.rouge import rouge_l
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


def _chair_scores(cases: list[Case]) -> list[float]:
    found: list[float] = []
    for start in range(0, len(cases), BLOCK):
        rows = [chair_row([name for _, name in script_words(a)], set(t)) for a, t in cases[start : start + BLOCK]]
        scores = chair_scores(np.sum(rows, axis=0))
        found += [float(scores["chair_s"]), float(scores["chair_i"])]
    return found


ASSOCIATIONS = {
    name: [f"{name}let"] for name in ("tree", "dog", "car", "sky", "person", "bench", "bird", "house", "stranger")
}
HARMLESS = ("picture",)


def _amber_generative(cases: list[Case]) -> list[float]:
    found: list[float] = []
    for start in range(0, len(cases), BLOCK):
        rows = []
        for said, truth in cases[start : start + BLOCK]:
            at = truth.index("|")
            words = [word for word in said.split() if word in amber_known()]
            rows.append(amber.amber_row(words, truth[:at], truth[at + 1 :], ASSOCIATIONS, HARMLESS))
        scores = amber.amber_scores(np.sum(rows, axis=0))
        found += [float(scores[name]) for name in ("chair", "cover", "hal", "cog")]
    return found


def amber_known() -> set[str]:
    """Words on the association lists."""
    return {word for name, words in ASSOCIATIONS.items() for word in (name, *words)}


def _amber_discriminative(cases: list[Case]) -> list[float]:
    found: list[float] = []
    for start in range(0, len(cases), 4 * BLOCK):
        part = cases[start : start + 4 * BLOCK]
        scores = amber.script_discriminative([a for a, _ in part], [t[0] for _, t in part])
        found += [scores[name] for name in ("accuracy", "precision", "recall", "f1")]
    return found


def _llava_bench(cases: list[Case]) -> list[float]:
    sums = [np.sum([llava_script(v) for v, _ in cases[i : i + BLOCK]], axis=0) for i in range(0, len(cases), BLOCK)]
    return [float(model / reference) for reference, model in sums]


def _blocks(cases: list[Case]) -> list[tuple[list[list[str]], list[list[list[str]]]]]:
    parts = [cases[start : start + 4 * BLOCK] for start in range(0, len(cases), 4 * BLOCK)]
    return [([a.split() for a, _ in part], [[t.split() for t in truths] for _, truths in part]) for part in parts]


def _cider(cases: list[Case]) -> list[float]:
    return [float(x) for said, truths in _blocks(cases) for x in Cider(truths).scores(said)]


def _bleu(cases: list[Case]) -> list[float]:
    sums = [np.sum([bleu_sums(a, t) for a, t in zip(*block, strict=True)], axis=0) for block in _blocks(cases)]
    return [float(bleu(row)) for row in sums]


def features(seed: str, rows: str, columns: str) -> tuple[Any, Any]:
    """Two sets of features."""
    draw = np.random.default_rng(int(seed))
    width = int(columns)
    real = draw.normal(size=(int(rows), width)) @ draw.normal(size=(width, width))
    return real, draw.normal(size=(int(rows) + 7, width)) @ draw.normal(size=(width, width)) + draw.normal(size=width)


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
    "seed": lambda cases: [[official.first_character(a) == letter for letter in _letters(t)] for a, t in cases],
    "ai2d": lambda cases: [[official.leading_letter(a) == letter for letter in _letters(t)] for a, t in cases],
    "mmstar": lambda cases: [[official.mmstar_letter(a) == letter for letter in _letters(t)] for a, t in cases],
    "mmmu_pro": lambda cases: [official.mmmu_pro_letter(a, _letters(t)) for a, t in cases],
    "blink": lambda cases: [official.blink_letter(a, _letters(t)) for a, t in cases],
    "ocrbench": lambda cases: [float(any(contains_script(a, x, t[-1] == "HME100k") for x in t[:-1])) for a, t in cases],
    "countbench": lambda cases: [float(official.count_script(a) == official.count_script(t[0])) for a, t in cases],
    "mathvista": lambda cases: [mathvista_script(a, t[2:], t[0], int(t[1])) for a, t in cases],
    "vizwiz": lambda cases: [evalai(a, t) for a, t in cases],
    "amber_discriminative": _amber_discriminative,
    "amber_generative": _amber_generative,
    "chair_scores": _chair_scores,
    "llava_bench": _llava_bench,
    "mmhal": lambda cases: [mmhal_script(v) for v, _ in cases],
    "mmvet": lambda cases: [mmvet_script(v) for v, _ in cases],
    "mm_safetybench": lambda cases: [official.safety_label(v) or "unknown" for v, _ in cases],
    "cider_d": _cider,
    "bleu_4": _bleu,
    "rouge_l": lambda cases: [rouge_l(a.split(), [t.split() for t in truths]) for a, truths in cases],
    "fid": lambda cases: [frechet_distance(*features(a, *t)) for a, t in cases],
    "boxes": lambda cases: [iou(script_box(a), [float(x) for x in t[0].split(",")]) for a, t in cases],
    "chair": lambda cases: [[name for _, name in script_words(a)] for a, _ in cases],
}
