"""Our readings of the official scoring scripts against the scripts themselves, on 1,200 predictions each.

    python -m benchmarks.metric_parity --official FOLDER [--write]

FOLDER holds what is compared with: the unpacked wheels `lmms_eval` (lmms-eval 0.7.3) and `lavis` (salesforce-lavis 1.0.2);
`pope/evaluate.py` of AoiDragon/POPE; `chair/chair.py` of LisaAnne/Hallucination brought to Python 3, with `chair/synonyms.txt`.
What is absent is left out. `--write` keeps the official numbers in tests/evaluate/parity/official.json, which the tests
compare with where none of these is installed, and a table in benchmarks/results/metric_parity.md.
"""

from __future__ import annotations

import argparse
import ast
import contextlib
import hashlib
import importlib
import importlib.util
import io
import json
import re
import sys
import types
from collections.abc import Callable
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
PARITY = ROOT / "tests" / "evaluate" / "parity"
sys.path.insert(0, str(PARITY))

import ours  # noqa: E402
import predictions  # noqa: E402

Case = tuple[str, list[str]]


def main() -> None:
    """Compare, print, and keep."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--official", type=Path, required=True)
    parser.add_argument("--write", action="store_true")
    arguments = parser.parse_args()
    folder = arguments.official.resolve()
    packages(folder)
    kept: dict[str, Any] = {}
    rows = []
    for name, (reference, make, cases) in REFERENCES.items():
        listed = cases()
        try:
            official = make(folder)
        except (FileNotFoundError, ImportError) as error:
            print(f"{name}: left out ({error})")
            continue
        values = official(listed)
        mine = ours.OURS[name](listed)
        gap, differ, at = compare(values, mine)
        spread = len({json.dumps(value) for value in values})
        if differ:
            print("   first:", repr(listed[at])[:300], values[at], mine[at])
        print(
            f"{name}: {len(listed)} predictions, {differ} differ, largest difference {gap:.2g}; {spread} different values"
        )
        rows.append((name, reference, len(listed), differ, gap))
        kept[name] = {"reference": reference, "cases_sha256": digest(listed), "values": values}
    if arguments.write:
        (PARITY / "official.json").write_text(
            json.dumps(kept, indent=None, separators=(",", ":")).replace('},"', '},\n"') + "\n"
        )
        lines = ["# Metrics against the official scripts", "", "| rule | reference | predictions | that differ | largest difference |",
                 "| --- | --- | --- | --- | --- |"]  # fmt: skip
        lines += [f"| {n} | {r} | {c:,} | {d} | {g:.1e} |" for n, r, c, d, g in rows]
        (ROOT / "benchmarks" / "results" / "metric_parity.md").write_text("\n".join(lines) + "\n")


def digest(cases: list[Case]) -> str:
    """A hash of the predictions, so that numbers are never compared with those of others."""
    return hashlib.sha256(json.dumps(cases).encode()).hexdigest()[:16]


def compare(official: list[Any], mine: list[Any]) -> tuple[float, int, int]:
    """The largest difference, how many differ, and the first that does."""
    gap, differ, at = 0.0, 0, 0
    for i, (a, b) in enumerate(zip(official, mine, strict=True)):
        numbers = isinstance(a, int | float) and isinstance(b, int | float)
        apart = abs(a - b) if numbers else float(a != b)
        gap = max(gap, apart)
        if apart > 1e-6:
            at = at or i
            differ += 1
    return gap, differ, at


def packages(folder: Path) -> None:
    """Make the modules of lmms-eval's tasks importable one by one, without what the whole package needs."""
    for name in ("lmms_eval", "lmms_eval.tasks", "lmms_eval.tasks._task_utils", "lmms_eval.llm_judge"):
        module = types.ModuleType(name)
        module.__path__ = [str(folder / "lmms_eval" / name.replace(".", "/"))]
        sys.modules[name] = module
    for name in ("loguru", "requests", "datasets", "tqdm", "pandas", "lmms_eval.tasks._task_utils.file_utils"):
        if name.startswith("lmms_eval") or importlib.util.find_spec(name) is None:
            stub = types.ModuleType(name)
            stub.__getattr__ = lambda _: _Anything()  # type: ignore[method-assign]
            sys.modules[name] = stub
    if (folder / "site").is_dir():
        sys.path.append(str(folder / "site"))


class _Anything:
    """What stands for a logger, a progress bar or a type that scoring does not use."""

    def __getattr__(self, _: str) -> Any:
        return lambda *_a, **_k: None

    def __call__(self, *a: Any, **_: Any) -> Any:
        return a[0] if a else None


def module(folder: Path, path: str) -> Any:
    """A module from its file."""
    file = folder / path
    if not file.is_file():
        raise FileNotFoundError(file)
    spec = importlib.util.spec_from_file_location(re.sub(r"\W", "_", path), file)
    assert spec is not None and spec.loader is not None
    made = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(made)
    return made


def functions(folder: Path, path: str, *names: str) -> dict[str, Any]:
    """Functions of a file whose module cannot be imported alone."""
    file = folder / path
    if not file.is_file():
        raise FileNotFoundError(file)
    tree = ast.parse(file.read_text())
    kept = [node for node in tree.body if isinstance(node, ast.FunctionDef) and node.name in names]
    for node in kept:
        node.decorator_list = []
    space: dict[str, Any] = {"re": re}
    exec(compile(ast.Module(kept, []), str(file), "exec"), space)
    return space


LMMS = "lmms_eval/lmms_eval/tasks"


def vqa_script(folder: Path) -> Callable[[list[Case]], list[float]]:
    made = module(folder, "lavis/lavis/common/vqa_tools/vqa_eval.py").VQAEval

    def run(cases: list[Case]) -> list[float]:
        truths = {i: {"answers": [{"answer": t, "answer_id": n} for n, t in enumerate(ts)], "question_type": "", "answer_type": ""}
                  for i, (_, ts) in enumerate(cases)}  # fmt: skip
        said = types.SimpleNamespace(qa={i: {"answer": answer} for i, (answer, _) in enumerate(cases)})
        scorer = made(types.SimpleNamespace(qa=truths, getQuesIds=lambda: list(truths)), said, n=12)
        with contextlib.redirect_stdout(io.StringIO()):
            scorer.evaluate()
        return [scorer.evalQA[i] / 100 for i in truths]

    return run


def evalai(folder: Path) -> Callable[[list[Case]], list[float]]:
    score = module(folder, f"{LMMS}/textvqa/utils.py").textvqa_process_results
    return lambda cases: [float(score({"answers": list(t), "question_id": 0}, [a])["exact_match"]) for a, t in cases]


def pope_script(folder: Path) -> Callable[[list[Case]], list[float]]:
    text = (folder / "pope" / "evaluate.py").read_text()

    def run(cases: list[Case]) -> list[float]:
        found = []
        for block in range(0, len(cases), 100):
            part = cases[block : block + 100]
            rows = ["\n".join(json.dumps(row) for row in rows) for rows in (
                [{"answer": a} for a, _ in part], [{"label": t[0]} for _, t in part])]  # fmt: skip
            out = io.StringIO()
            space = {"open": lambda name, _mode, rows=rows: io.StringIO(rows[0] if name == "answers" else rows[1])}
            code = text.replace("ans_file = ''", "ans_file = 'answers'").replace(
                "label_file = ''", "label_file = 'labels'"
            )
            with contextlib.redirect_stdout(out):
                exec(code, space)
            found += [float(x) for x in re.findall(r": ([\d.]+)", out.getvalue())]
        return found

    return run


def pope_lmms(folder: Path) -> Callable[[list[Case]], list[float]]:
    made = module(folder, f"{LMMS}/pope/utils.py")

    def run(cases: list[Case]) -> list[float]:
        found = []
        for block in range(0, len(cases), 100):
            rows = [
                made.pope_process_results({"answer": t[0], "question_id": 0}, [a])
                for a, t in cases[block : block + 100]
            ]
            names = ("accuracy", "precision", "recall", "f1_score", "yes_ratio")
            found += [float(getattr(made, f"pope_aggregate_{n}")([row[f"pope_{n}"] for row in rows])) for n in names]
        return found

    return run


def mme(folder: Path) -> Callable[[list[Case]], list[float]]:
    made = module(folder, f"{LMMS}/mme/utils.py")

    def run(cases: list[Case]) -> list[float]:
        found = []
        for block in range(0, len(cases), 100):
            part = cases[block : block + 100]
            rows = [
                made.mme_process_results({"answer": t[0], "question_id": i // 2, "category": ours.subtask(i)}, [a])
                for i, (a, t) in enumerate(part)
            ]
            found += [
                float(made.mme_aggregate_results([row[key] for row in rows if key in row]))
                for key in ("mme_perception_score", "mme_cognition_score")
            ]
        return found

    return run


def anls(folder: Path) -> Callable[[list[Case]], list[float]]:
    score = functions(folder, "lmms_eval/lmms_eval/api/metrics.py", "anls", "levenshtein_distance")["anls"]
    return lambda cases: [float(score(t, [a])["anls"]) for a, t in cases]


def relaxed(folder: Path) -> Callable[[list[Case]], list[float]]:
    score = module(folder, f"{LMMS}/chartqa/utils.py").relaxed_correctness
    return lambda cases: [float(score(a, t[0])) for a, t in cases]


def exact(folder: Path) -> Callable[[list[Case]], list[float]]:
    space = functions(folder, "lmms_eval/lmms_eval/api/metrics.py", "exact_match_hf_evaluate")
    import string

    import numpy

    space |= {"np": numpy, "string": string}
    score = space["exact_match_hf_evaluate"]
    return lambda cases: [
        float(score([a], [t[0]], ignore_case=True, ignore_punctuation=True)["exact_match"]) for a, t in cases
    ]


def mmmu(folder: Path) -> Callable[[list[Case]], list[Any]]:
    made = module(folder, f"{LMMS}/_task_utils/mmmu_mcq_utils.py")

    def one(answer: str, options: list[str]) -> str | None:
        index, letters = made.get_multi_choice_info(options)
        made.random = types.SimpleNamespace(
            choice=lambda _: None
        )  # "random" is how the script says that it read nothing
        found: str | None = made.parse_mmmu_multi_choice_response(answer, letters, index)
        return found

    return lambda cases: [one(a, t) for a, t in cases]


def mmbench(folder: Path) -> Callable[[list[Case]], list[Any]]:
    file = folder / LMMS / "mmbench/mmbench_evals.py"
    if not file.is_file():
        raise FileNotFoundError(file)
    tree = ast.parse(file.read_text())
    scorer = next(node for node in tree.body if isinstance(node, ast.ClassDef))
    wanted = {"can_infer_option", "can_infer_text", "can_infer"}
    scorer.body = [n for n in scorer.body if isinstance(n, ast.FunctionDef) and n.name in wanted]
    import string

    space: dict[str, Any] = {"string": string, "eval_logger": types.SimpleNamespace(info=lambda _: None)}
    exec(compile(ast.Module([scorer], []), str(file), "exec"), space)
    made = space["MMBench_Evaluator"]()
    return lambda cases: [made.can_infer(a, dict(zip("ABCD", t, strict=False))) or None for a, t in cases]


def scienceqa(folder: Path) -> Callable[[list[Case]], list[Any]]:
    made = module(folder, f"{LMMS}/scienceqa/utils.py")
    return lambda cases: [
        [float(made.sqa_process_results({"choices": t, "answer": n}, [a])["exact_match"]) for n in range(len(t))]
        for a, t in cases
    ]


def boxes(folder: Path) -> Callable[[list[Case]], list[float]]:
    made = module(folder, f"{LMMS}/refcoco/utils_rec.py")
    return lambda cases: [
        float(made.compute_iou(made.parse_float_sequence_within(a), [float(x) for x in t[0].split(",")]))
        for a, t in cases
    ]


def hallusion(folder: Path) -> Callable[[list[Case]], list[float]]:
    made = module(folder, f"{LMMS}/hallusion_bench/utils.py")

    def run(cases: list[Case]) -> list[float]:
        found = []
        for block in range(0, len(cases), 100):
            rows = []
            for i, (answer, truth) in enumerate(cases[block : block + 100]):
                where = ours.place(i)
                rows.append({**where, "visual_input": "1", "gpt": "1" if ours.reads(answer) == truth[0] else "0"})
            made.assign_correctness(rows, "gpt")
            found.append(made.get_eval_all(rows, "gpt")["correct"] / len(rows))
            pairs, figures = made.get_eval_pair_all(rows, "gpt"), made.get_eval_fig(rows)
            found += [pairs["correct"] / pairs["total"], figures["correct"] / figures["total"]]
        return [float(x) for x in found]

    return run


def chair(folder: Path) -> Callable[[list[Case]], list[Any]]:
    made = module(folder, "chair/chair.py").CHAIR((folder / "chair" / "synonyms.txt").read_text().splitlines())
    return lambda cases: [made.caption_to_words(a)[1] for a, _ in cases]


REFERENCES: dict[str, tuple[str, Callable[[Path], Callable[[list[Case]], list[Any]]], Callable[[], list[Case]]]] = {
    "vqa_script": ("VQAEval as in salesforce-lavis 1.0.2", vqa_script, predictions.vqa_cases),
    "evalai": ("TextVQA in lmms-eval 0.7.3", evalai, predictions.vqa_cases),
    "pope_script": ("evaluate.py of AoiDragon/POPE", pope_script, predictions.yes_no_cases),
    "pope_lmms": ("POPE in lmms-eval 0.7.3", pope_lmms, predictions.yes_no_cases),
    "mme": ("MME in lmms-eval 0.7.3", mme, predictions.yes_no_cases),
    "hallusion": ("HallusionBench in lmms-eval 0.7.3", hallusion, predictions.yes_no_cases),
    "anls": ("ANLS in lmms-eval 0.7.3", anls, predictions.text_cases),
    "relaxed": ("ChartQA in lmms-eval 0.7.3", relaxed, predictions.number_cases),
    "exact": ("GQA's exact match in lmms-eval 0.7.3", exact, predictions.text_cases),
    "mmmu": ("MMMU in lmms-eval 0.7.3", mmmu, predictions.choice_cases),
    "mmbench": ("MMBench in lmms-eval 0.7.3, before ChatGPT is asked", mmbench, predictions.choice_cases),
    "scienceqa": ("ScienceQA in lmms-eval 0.7.3", scienceqa, predictions.choice_cases),
    "boxes": ("RefCOCO in lmms-eval 0.7.3", boxes, predictions.box_cases),
    "chair": ("utils/chair.py of LisaAnne/Hallucination", chair, predictions.caption_cases),
}

if __name__ == "__main__":
    main()
