"""The same numbers by our rules, named as in `official.json`, and the predictions that each is compared on."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from parity.official import predictions
from parity.official.scoring import BLOCK, Case, Score, each, per_block
from triptych.evaluate.metrics import amber, hallusion, mme
from triptych.evaluate.metrics.anls import anls_script
from triptych.evaluate.metrics.boxes import iou, script_box
from triptych.evaluate.metrics.chair import chair_row, chair_scores
from triptych.evaluate.metrics.contains import contains_script
from triptych.evaluate.metrics.exact import exact_script
from triptych.evaluate.metrics.images import frechet_distance
from triptych.evaluate.metrics.math import mathvista_script
from triptych.evaluate.metrics.relaxed import relaxed_script
from triptych.evaluate.metrics.vqa import evalai, vqa_script
from triptych.evaluate.parsers import official, parse_yes_no
from triptych.evaluate.scoring.bleu import bleu, bleu_sums
from triptych.evaluate.scoring.chair_script import script_words
from triptych.evaluate.scoring.cider import Cider
from triptych.evaluate.scoring.rouge import rouge_l
from triptych.evaluate.scoring.verdicts import llava_script, mmhal_script, mmvet_script

LARGE = 4 * BLOCK
"""The size of blocks for scores that need more questions."""


def subtask(place: int) -> str:
    """The subtask of MME that a question of a block belongs to."""
    return mme.SUBTASKS[(place // 2) % len(mme.SUBTASKS)]


def place(number: int) -> dict[str, str]:
    """Where in HallusionBench a question of a block is."""
    set_, rest = divmod(number, 6)
    figure, question = divmod(rest, 3)
    ids = {"set_id": str(set_), "figure_id": str(figure), "question_id": str(question)}
    return {"category": "VD", "subcategory": "chart", **ids}


def reads(answer: str) -> str | None:
    """A yes or a no."""
    return parse_yes_no(answer)


def _pope(rule: str) -> Score:
    from triptych.evaluate.benchmarks import catalogue
    from triptych.evaluate.benchmarks.task import answer_metric

    made = answer_metric(catalogue.load("pope")).rules[rule]
    return per_block(lambda cases: pope_scores(made, cases))


def pope_scores(rule: Any, cases: list[Case]) -> list[float]:
    """Accuracy, precision, recall, F1 and share of yes by a rule of the task `pope`."""
    from triptych.evaluate.tasks.question import Record

    records = [
        rule.judge(Record(str(i), "k", "q", truth[0], answer, "stop", 1, 0.0, i))
        for i, (answer, truth) in enumerate(cases)
    ]
    tally = rule.tally(records)
    return _named(tally.score(tally.sums.sum(axis=0)), "accuracy", "precision", "recall", "f1", "yes_ratio")


def _named(scores: Mapping[str, Any], *names: str) -> list[float]:
    return [float(scores[name]) for name in names]


def _mme(cases: list[Case]) -> list[float]:
    right = [official.prefix_yes_no(answer) == truth[0] for answer, truth in cases]
    rows = [mme.mme_row(subtask(i), right[i : i + 2]) for i in range(0, len(cases), 2)]
    return _named(mme.mme_scores(np.sum(rows, axis=0)), "perception", "cognition")


def _hallusion(cases: list[Case]) -> list[float]:
    sets: dict[str, list[tuple[str, str, bool, bool]]] = {}
    for i, (answer, truth) in enumerate(cases):
        at = place(i)
        row = (at["question_id"], at["figure_id"], reads(answer) == truth[0], True)
        sets.setdefault(at["set_id"], []).append(row)
    sums = np.sum([hallusion.hallusion_row(rows) for rows in sets.values()], axis=0)
    return _named(hallusion.hallusion_scores(sums), "a_acc", "q_acc", "f_acc")


def _chair_scores(cases: list[Case]) -> list[float]:
    rows = [chair_row([name for _, name in script_words(a)], set(t)) for a, t in cases]
    return _named(chair_scores(np.sum(rows, axis=0)), "chair_s", "chair_i")


ASSOCIATIONS = {
    name: [f"{name}let"] for name in ("tree", "dog", "car", "sky", "person", "bench", "bird", "house", "stranger")
}
HARMLESS = ("picture",)


def _amber_generative(cases: list[Case]) -> list[float]:
    rows = []
    for answer, truth in cases:
        at = truth.index("|")
        words = [word for word in answer.split() if word in amber_known()]
        rows.append(amber.amber_row(words, truth[:at], truth[at + 1 :], ASSOCIATIONS, HARMLESS))
    return _named(amber.amber_scores(np.sum(rows, axis=0)), "chair", "cover", "hal", "cog")


def amber_known() -> set[str]:
    """Words on the association lists."""
    return {word for name, words in ASSOCIATIONS.items() for word in (name, *words)}


def _amber_discriminative(cases: list[Case]) -> list[float]:
    """As the script prints them; 0 where it would divide by zero."""
    right = sum(answer == {"yes": "Yes", "no": "No"}[truth] for answer, (truth,) in cases)
    predicted, true = sum(answer == "No" for answer, _ in cases), sum(truth == "no" for _, (truth,) in cases)
    both = sum(answer == "No" and truth == "no" for answer, (truth,) in cases)
    precision, recall = _percent(both, predicted) / 100, _percent(both, true) / 100
    f1 = round(2 * precision * recall / (precision + recall + 0.0001) * 100, 1)
    return [_percent(right, len(cases)) / 100, precision, recall, f1 / 100]


def _percent(part: int, whole: int) -> float:
    return round(part / whole * 100, 1) if whole else 0.0


def _llava_bench(cases: list[Case]) -> list[float]:
    reference, model = np.sum([llava_script(verdict) for verdict, _ in cases], axis=0)
    return [float(model / reference)]


def _words(cases: list[Case]) -> tuple[list[list[str]], list[list[list[str]]]]:
    return [answer.split() for answer, _ in cases], [[t.split() for t in truths] for _, truths in cases]


def _cider(cases: list[Case]) -> list[float]:
    answers, truths = _words(cases)
    return [float(score) for score in Cider(truths).scores(answers)]


def _bleu(cases: list[Case]) -> list[float]:
    return [float(bleu(np.sum([bleu_sums(a, t) for a, t in zip(*_words(cases), strict=True)], axis=0)))]


def features(seed: str, rows: str, columns: str) -> tuple[Any, Any]:
    """Two sets of features."""
    draw = np.random.default_rng(int(seed))
    width = int(columns)
    real = draw.normal(size=(int(rows), width)) @ draw.normal(size=(width, width))
    return real, draw.normal(size=(int(rows) + 7, width)) @ draw.normal(size=(width, width)) + draw.normal(size=width)


def _letters(options: list[str]) -> dict[str, str]:
    return dict(zip("ABCD", options, strict=False))


def _of_options(read: Callable[[str], str | None]) -> Score:
    """For each option, whether it is the letter that is read."""
    return each(lambda a, t: [read(a) == letter for letter in _letters(t)])


VQA, YES_NO, CHOICE, VERDICT, CAPTION, CORPUS = (
    predictions.vqa_cases,
    predictions.yes_no_cases,
    predictions.choice_cases,
    predictions.verdict_cases,
    predictions.caption_cases,
    predictions.corpus_cases,
)

OURS: dict[str, tuple[Callable[[], list[Case]], Score]] = {
    "vqa_script": (VQA, each(vqa_script)),
    "evalai": (VQA, each(evalai)),
    "pope_script": (YES_NO, _pope("pope_script")),
    "pope_lmms": (YES_NO, _pope("lmms_eval")),
    "mme": (YES_NO, per_block(_mme)),
    "hallusion": (YES_NO, per_block(_hallusion)),
    "anls": (predictions.text_cases, each(anls_script)),
    "relaxed": (predictions.number_cases, each(lambda a, t: float(relaxed_script(a, t[0])))),
    "exact": (predictions.text_cases, each(lambda a, t: float(exact_script(a, t[0])))),
    "mmmu": (CHOICE, each(lambda a, t: official.mmmu_letter(a, _letters(t)))),
    "mmbench": (CHOICE, each(lambda a, t: official.mmbench_letter(a, _letters(t)))),
    "scienceqa": (CHOICE, each(lambda a, t: [float(official.scienceqa_letter(a) == letter) for letter in _letters(t)])),
    "seed": (CHOICE, _of_options(official.first_character)),
    "ai2d": (CHOICE, _of_options(official.leading_letter)),
    "mmstar": (CHOICE, _of_options(official.mmstar_letter)),
    "mmmu_pro": (CHOICE, each(lambda a, t: official.mmmu_pro_letter(a, _letters(t)))),
    "blink": (CHOICE, each(lambda a, t: official.blink_letter(a, _letters(t)))),
    "ocrbench": (
        predictions.ocr_cases,
        each(lambda a, t: float(any(contains_script(a, x, t[-1] == "HME100k") for x in t[:-1]))),
    ),
    "countbench": (
        predictions.tally_cases,
        each(lambda a, t: float(official.count_script(a) == official.count_script(t[0]))),
    ),
    "mathvista": (predictions.math_cases, each(lambda a, t: mathvista_script(a, t[2:], t[0], int(t[1])))),
    "vizwiz": (VQA, each(evalai)),
    "amber_discriminative": (YES_NO, per_block(_amber_discriminative, LARGE)),
    "amber_generative": (predictions.thing_cases, per_block(_amber_generative)),
    "chair_scores": (CAPTION, per_block(_chair_scores)),
    "llava_bench": (VERDICT, per_block(_llava_bench)),
    "mmhal": (VERDICT, each(lambda verdict, _: mmhal_script(verdict))),
    "mmvet": (VERDICT, each(lambda verdict, _: mmvet_script(verdict))),
    "mm_safetybench": (VERDICT, each(lambda verdict, _: official.safety_label(verdict) or "unknown")),
    "cider_d": (CORPUS, per_block(_cider, LARGE)),
    "bleu_4": (CORPUS, per_block(_bleu, LARGE)),
    "rouge_l": (CORPUS, each(lambda a, t: rouge_l(a.split(), [truth.split() for truth in t]))),
    "fid": (predictions.feature_cases, each(lambda a, t: frechet_distance(*features(a, *t)))),
    "boxes": (predictions.box_cases, each(lambda a, t: iou(script_box(a), [float(x) for x in t[0].split(",")]))),
    "chair": (CAPTION, each(lambda a, _: [name for _, name in script_words(a)])),
}
"""Name → the predictions, and our score of them."""
