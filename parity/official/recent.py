"""The official scripts of the benchmarks of 2024: MMStar, MMMU-Pro, BLINK, OCRBench, CountBench, MathVista (see `scripts`).

Beside lmms-eval they need, in the folder: `mmstar/mmstar.py` (eval/vlmeval/evaluate of MMStar-Benchmark/MMStar), `mmmu_pro/evaluate.py`
(mmmu-pro of MMMU-Benchmark/MMMU), `mathvista/calculate_score.py` and `extract_answer.py` (evaluation of lupantech/MathVista), and the
package Levenshtein, installed or in `site`.
"""

from __future__ import annotations

import logging
import types
from collections.abc import Callable
from copy import deepcopy
from pathlib import Path
from typing import Any

from parity.official.scoring import Score, each
from parity.official.scripts import LMMS, functions, module

_ABILITIES = {
    "coarse perception": ("image scene and topic", "image style & quality", "image emotion"),
    "fine-grained perception": ("object counting", "recognition", "localization"),
    "instance reasoning": ("single-instance reasoning", "cross-instance attribute reasoning", "cross-instance relation reasoning"),
    "logical reasoning": ("code & sequence reasoning", "diagram reasoning", "common reasoning"),
    "science & technology": ("biology & chemistry & physics", "electronics & energy & mechanical eng.", "geography & earth science & agriculture"),
    "math": ("geometry", "numeric commonsense and calculation", "statistical reasoning"),
}  # fmt: skip
"""MMStar's script divides by the number of questions of each, so none may be empty."""


def mmstar(folder: Path) -> Score:
    quiet = types.SimpleNamespace(info=lambda *_: None)
    known = {"deepcopy": deepcopy, "tqdm": lambda x: x, "get_logger": lambda _: quiet}
    space = functions(folder, "mmstar/mmstar.py", "MMStar_eval", **known)
    others = [(kind, part) for kind, parts in _ABILITIES.items() for part in parts][1:]

    def right(answer: str, letter: str) -> bool:
        rows = [{"prediction": "?", "answer": "A", "bench": "", "category": k, "l2_category": p} for k, p in others]
        rows.append({"prediction": answer, "answer": letter, "bench": "", "category": "coarse perception",
                     "l2_category": "image scene and topic"})  # fmt: skip
        kept: dict[str, float] = {}
        space["load"] = lambda _: _Table(rows)
        space["dump"] = lambda scores, _: kept.update(scores)
        space["MMStar_eval"]("x.xlsx")
        return round(kept["final score"] * 1500) == 1

    return each(lambda a, t: [right(a, letter) for letter in "ABCD"[: len(t)]])


class _Table:
    """As much of a pandas table as MMStar's script uses."""

    def __init__(self, rows: list[dict[str, str]]) -> None:
        self.iloc = rows

    def __len__(self) -> int:
        return len(self.iloc)


def mmmu_pro(folder: Path) -> Score:
    known = {"random": types.SimpleNamespace(choice=lambda _: None)}  # how the script says that it read nothing
    names = ("parse_multi_choice_response", "get_multi_choice_info")
    space = functions(folder, "mmmu_pro/evaluate.py", *names, **known)

    def one(answer: str, options: list[str]) -> Any:
        index, letters = space["get_multi_choice_info"](options)
        return space["parse_multi_choice_response"](answer, letters, index)

    return each(one)


def blink(folder: Path) -> Score:
    name = "_extract_answer_letter"
    read = functions(folder, f"{LMMS}/blink/utils.py", name)[name]
    return each(lambda a, t: read(a, "ABCD"[: len(t)]) or None)


def ocrbench(folder: Path) -> Score:
    score = module(folder, f"{LMMS}/ocrbench/utils.py").ocrbench_process_results

    def one(answer: str, truths: list[str]) -> float:
        *texts, dataset = truths
        row = {"answer": texts, "dataset": dataset, "question_type": "x"}
        return float(score(row, [answer])["ocrbench_accuracy"]["score"])

    return each(one)


def countbench(folder: Path) -> Score:
    score = module(folder, f"{LMMS}/countbench/utils.py").countbench_process_results
    return each(lambda a, t: float(score({"number": t[0]}, [a])["acc"]))


def mathvista(folder: Path) -> Score:
    from Levenshtein import distance  # type: ignore[import-not-found, unused-ignore]

    names = ("normalize_extracted_answer", "get_most_similar")
    normalise = functions(folder, "mathvista/calculate_score.py", *names, distance=distance)
    names = ("extract_answer", "create_test_prompt")
    extract = functions(folder, "mathvista/extract_answer.py", *names, demo_prompt="", logging=logging)

    def one(answer: str, truths: list[str]) -> Any:
        kind, precision, *choices = truths
        question = "multi_choice" if choices else "free_form"
        problem = {"question_type": question, "answer_type": kind, "choices": choices, "query": "", "pid": "0"}
        judge = types.SimpleNamespace(get_response=lambda user_prompt: answer)  # a GPT-4 that repeats the answer  # noqa: ARG005
        extraction = extract["extract_answer"](judge, answer, problem, quick_extract=True)
        return normalise["normalize_extracted_answer"](extraction, choices, question, kind, int(precision))

    return each(one)


RECENT: dict[str, tuple[str, Callable[[Path], Score]]] = {
    "mmstar": ("mmstar.py of MMStar-Benchmark/MMStar", mmstar),
    "mmmu_pro": ("mmmu-pro/evaluate.py of MMMU-Benchmark/MMMU", mmmu_pro),
    "blink": ("BLINK in lmms-eval 0.7.3", blink),
    "ocrbench": ("OCRBench in lmms-eval 0.7.3", ocrbench),
    "countbench": ("CountBench in lmms-eval 0.7.3", countbench),
    "mathvista": ("MathVista's scripts, with the answer itself in place of GPT-4's extraction", mathvista),
}  # fmt: skip
