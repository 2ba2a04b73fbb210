"""The official scoring scripts, each as a function from predictions to its numbers.

The scripts are not kept here: they are read from a folder (see `__main__`), as whole modules where these can be imported
alone, otherwise as single functions or methods. Each function below takes that folder; it raises FileNotFoundError or
ImportError where its script is absent.
"""

from __future__ import annotations

import ast
import contextlib
import importlib
import importlib.util
import io
import json
import re
import string
import sys
import types
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from parity.official import ours
from parity.official.scoring import Case, Score, each, per_block

LMMS = "lmms_eval/lmms_eval/tasks"
METRICS = "lmms_eval/lmms_eval/api/metrics.py"


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
    spec = importlib.util.spec_from_file_location(re.sub(r"\W", "_", path), _existing(folder / path))
    assert spec is not None and spec.loader is not None
    made = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(made)
    return made


def functions(folder: Path, path: str, *names: str, **known: Any) -> dict[str, Any]:
    """Functions of a file whose module cannot be imported alone, with the names that they use."""
    file = _existing(folder / path)
    kept = _functions(ast.parse(file.read_text()).body, *names)
    for node in kept:
        node.decorator_list = []
    return _run(kept, file, known)


def _methods(folder: Path, path: str, *names: str, **known: Any) -> Any:
    """An object of the first class of a file, with these methods alone."""
    file = _existing(folder / path)
    kind = next(node for node in ast.parse(file.read_text()).body if isinstance(node, ast.ClassDef))
    kind.bases, kind.body = [], list(_functions(kind.body, *names))
    return _run([kind], file, known)[kind.name]()


def _functions(body: list[ast.stmt], *names: str) -> list[ast.FunctionDef]:
    return [node for node in body if isinstance(node, ast.FunctionDef) and node.name in names]


def _run(kept: list[Any], file: Path, known: dict[str, Any]) -> dict[str, Any]:
    space: dict[str, Any] = {"re": re, "string": string, "np": np, **known}
    exec(compile(ast.Module(kept, []), str(file), "exec"), space)
    return space


def _existing(file: Path) -> Path:
    if not file.is_file():
        raise FileNotFoundError(file)
    return file


def vqa_script(folder: Path) -> Score:
    made = module(folder, "lavis/lavis/common/vqa_tools/vqa_eval.py").VQAEval

    def run(cases: list[Case]) -> list[float]:
        truths = {i: {"answers": [{"answer": t, "answer_id": n} for n, t in enumerate(ts)], "question_type": "", "answer_type": ""}
                  for i, (_, ts) in enumerate(cases)}  # fmt: skip
        answers = types.SimpleNamespace(qa={i: {"answer": answer} for i, (answer, _) in enumerate(cases)})
        scorer = made(types.SimpleNamespace(qa=truths, getQuesIds=lambda: list(truths)), answers, n=12)
        with contextlib.redirect_stdout(io.StringIO()):
            scorer.evaluate()
        return [scorer.evalQA[i] / 100 for i in truths]

    return run


def evalai(folder: Path) -> Score:
    score = module(folder, f"{LMMS}/textvqa/utils.py").textvqa_process_results
    return each(lambda a, t: float(score({"answers": list(t), "question_id": 0}, [a])["exact_match"]))


def vizwiz(folder: Path) -> Score:
    score = module(folder, f"{LMMS}/vizwiz_vqa/utils.py").vizwiz_vqa_process_results
    return each(lambda a, t: float(score({"answers": list(t), "question_id": 0}, [a])["exact_match"]))


def pope_script(folder: Path) -> Score:
    text = (folder / "pope" / "evaluate.py").read_text()
    code = text.replace("ans_file = ''", "ans_file = 'answers'").replace("label_file = ''", "label_file = 'labels'")

    def run(cases: list[Case]) -> list[float]:
        files = {"answers": [{"answer": a} for a, _ in cases], "labels": [{"label": t[0]} for _, t in cases]}
        with contextlib.redirect_stdout(io.StringIO()) as out:
            exec(code, {"open": lambda name, _mode: io.StringIO("\n".join(map(json.dumps, files[name])))})
        return [float(x) for x in re.findall(r": ([\d.]+)", out.getvalue())]

    return per_block(run)


def pope_lmms(folder: Path) -> Score:
    made = module(folder, f"{LMMS}/pope/utils.py")

    def run(cases: list[Case]) -> list[float]:
        rows = [made.pope_process_results({"answer": t[0], "question_id": 0}, [a]) for a, t in cases]
        names = ("accuracy", "precision", "recall", "f1_score", "yes_ratio")
        return [float(getattr(made, f"pope_aggregate_{n}")([row[f"pope_{n}"] for row in rows])) for n in names]

    return per_block(run)


def mme(folder: Path) -> Score:
    made = module(folder, f"{LMMS}/mme/utils.py")

    def run(cases: list[Case]) -> list[float]:
        rows = [
            made.mme_process_results({"answer": t[0], "question_id": i // 2, "category": ours.subtask(i)}, [a])
            for i, (a, t) in enumerate(cases)
        ]
        keys = ("mme_perception_score", "mme_cognition_score")
        return [float(made.mme_aggregate_results([row[key] for row in rows if key in row])) for key in keys]

    return per_block(run)


def anls(folder: Path) -> Score:
    score = functions(folder, METRICS, "anls", "levenshtein_distance")["anls"]
    return each(lambda a, t: float(score(t, [a])["anls"]))


def relaxed(folder: Path) -> Score:
    score = module(folder, f"{LMMS}/chartqa/utils.py").relaxed_correctness
    return each(lambda a, t: float(score(a, t[0])))


def exact(folder: Path) -> Score:
    score = _exact_match(folder)
    return each(lambda a, t: score(a, t[0]))


def _exact_match(folder: Path) -> Callable[[str, str], float]:
    score = functions(folder, METRICS, "exact_match_hf_evaluate")["exact_match_hf_evaluate"]
    return lambda a, t: float(score([a], [t], ignore_case=True, ignore_punctuation=True)["exact_match"])


def mmmu(folder: Path) -> Score:
    made = module(folder, f"{LMMS}/_task_utils/mmmu_mcq_utils.py")
    made.random = types.SimpleNamespace(choice=lambda _: None)  # "random" is how the script says that it read nothing

    def one(answer: str, options: list[str]) -> Any:
        index, letters = made.get_multi_choice_info(options)
        return made.parse_mmmu_multi_choice_response(answer, letters, index)

    return each(one)


def mmbench(folder: Path) -> Score:
    quiet = types.SimpleNamespace(info=lambda _: None)
    names = ("can_infer_option", "can_infer_text", "can_infer")
    made = _methods(folder, f"{LMMS}/mmbench/mmbench_evals.py", *names, eval_logger=quiet)
    return each(lambda a, t: made.can_infer(a, dict(zip("ABCD", t, strict=False))) or None)


def scienceqa(folder: Path) -> Score:
    score = module(folder, f"{LMMS}/scienceqa/utils.py").sqa_process_results
    return each(
        lambda a, t: [float(score({"choices": t, "answer": n}, [a])["exact_match"]) for n in range(len(t))],
    )


def boxes(folder: Path) -> Score:
    made = module(folder, f"{LMMS}/refcoco/utils_rec.py")
    return each(
        lambda a, t: float(made.compute_iou(made.parse_float_sequence_within(a), [float(x) for x in t[0].split(",")]))
    )


def hallusion(folder: Path) -> Score:
    made = module(folder, f"{LMMS}/hallusion_bench/utils.py")

    def run(cases: list[Case]) -> list[float]:
        rows = [
            {**ours.place(i), "visual_input": "1", "gpt": "1" if ours.reads(answer) == truth[0] else "0"}
            for i, (answer, truth) in enumerate(cases)
        ]
        made.assign_correctness(rows, "gpt")
        every, pairs, figures = (
            made.get_eval_all(rows, "gpt"),
            made.get_eval_pair_all(rows, "gpt"),
            made.get_eval_fig(rows),
        )
        totals = (len(rows), pairs["total"], figures["total"])
        return [one["correct"] / total for one, total in zip((every, pairs, figures), totals, strict=True)]

    return per_block(run)


def chair(folder: Path) -> Score:
    made = _chair(folder)
    return each(lambda a, _: made.caption_to_words(a)[1])


def chair_scores(folder: Path) -> Score:
    made = _chair(folder)
    return per_block(
        lambda cases: made.compute_chair(
            [{"caption": a, "image_id": i} for i, (a, _) in enumerate(cases)],
            {i: set(t) for i, (_, t) in enumerate(cases)},
        )
    )


def _chair(folder: Path) -> Any:
    return module(folder, "chair/chair.py").CHAIR((folder / "chair" / "synonyms.txt").read_text().splitlines())


def seed(folder: Path) -> Score:
    made = module(folder, f"{LMMS}/seedbench/utils.py")

    def one(answer: str, options: list[str]) -> list[bool]:
        rows = [
            made.seed_process_result({"answer": letter, "data_type": "image", "question_id": 0}, [answer])
            for letter in "ABCD"[: len(options)]
        ]
        return [made.seed_aggregation_result([row["seed_all"]]) == 1.0 for row in rows]

    return each(one)


def ai2d(folder: Path) -> Score:
    made, score = _methods(folder, f"{LMMS}/ai2d/utils.py", "apply"), _exact_match(folder)

    def one(answer: str, options: list[str]) -> list[bool]:
        (filtered,) = made.apply([[answer]], [None])
        return [bool(score(filtered, letter)) for letter in "ABCD"[: len(options)]]

    return each(one)


def amber_discriminative(folder: Path) -> Score:
    score = module(folder, "amber/inference.py").discriminative
    return per_block(
        lambda cases: [x / 100 for x in score([a for a, _ in cases], [t[0] for _, t in cases])], ours.LARGE
    )


def amber_generative(folder: Path) -> Score:
    """The arithmetic: nouns are given, and no two words are alike but the same one (the script asks spaCy)."""
    name = "process_generative_task"
    known = {"extract_nouns": str.split, "check_synonyms_word": lambda *_: False}
    score = functions(folder, f"{LMMS}/amber_g/utils.py", name, **known)[name]
    shares = ("chair", "safe_cover", "non_hallu", "hallu_cover")

    def run(cases: list[Case]) -> list[float]:
        sums = {f"{share}_{kind}": 0 for share in shares for kind in ("score", "num")}
        for answer, truth in cases:
            at = truth.index("|")
            row, lists = {"question_id": 0, "text": answer}, {"truth": truth[:at], "hallu": truth[at + 1 :]}
            score(row, lists, ours.ASSOCIATIONS, ours.amber_known(), ours.HARMLESS, 0.8, sums)
        chair, cover, right, invented = (sums[f"{share}_score"] / sums[f"{share}_num"] for share in shares)
        return [chair, cover, 1 - right, invented]

    return per_block(run)


def llava_bench(folder: Path) -> Score:
    # The sums as they are: the script rounds them to three digits, and their ratio to one.
    known = {"VerifyResult": lambda **k: types.SimpleNamespace(**k), "round": lambda x, _: x}
    path = f"{LMMS}/llava-in-the-wild/utils.py"
    space = functions(folder, path, "_parse_comparative_scores", "llava_aggregation", **known)
    read, add = space["_parse_comparative_scores"], space["llava_aggregation"]
    return per_block(
        lambda cases: [add([{"scores": read(verdict).metadata["scores"]} for verdict, _ in cases], "all") / 100]
    )


def mmhal(folder: Path) -> Score:
    score = module(folder, "mmhal/eval_gpt4.py").analyze
    return lambda cases: list(score([verdict for verdict, _ in cases]))


def mmvet(folder: Path) -> Score:
    name = "mmvet_process_results"
    known = {"MM_VET_PROMPT": "", "time": types.SimpleNamespace(sleep=lambda _: None), "eval_logger": _Anything()}
    space = functions(folder, f"{LMMS}/mmvet/utils.py", name, **known)

    def one(verdict: str, _: list[str]) -> float:
        replies = iter([verdict] * 8)  # a judge that repeats itself, and then is silent
        space["get_chat_response"] = lambda *_, **__: (next(replies, ""), "judge")
        row = {"question": "", "answer": "", "question_id": 0, "capability": ""}
        return float(space[name](row, [""])["gpt_eval_score"]["score"])

    return each(one)


def mm_safetybench(folder: Path) -> Score:
    read = functions(folder, "ms_vlmeval/vlmeval/dataset/mmsafetybench.py", "_normalize_label")["_normalize_label"]
    return each(lambda verdict, _: read(verdict))


def captions(name: str) -> Callable[[Path], Score]:
    """A caption score of pycocoevalcap, on captions that are tokens with spaces between them."""

    def make(_: Path) -> Score:
        scorer = getattr(importlib.import_module(f"pycocoevalcap.{name.lower()}.{name.lower()}"), name)

        def run(cases: list[Case]) -> list[float]:
            truths, answers = {i: t for i, (_, t) in enumerate(cases)}, {i: [a] for i, (a, _) in enumerate(cases)}
            if name == "Bleu":
                return [float(scorer(4).compute_score(truths, answers, verbose=0)[0][3])]
            return [float(x) for x in scorer().compute_score(truths, answers)[1]]

        return per_block(run, ours.LARGE)

    return make


def fid(folder: Path) -> Score:
    name = "calculate_frechet_distance"
    linalg = importlib.import_module("scipy.linalg")
    distance = functions(folder, "pytorch_fid/fid_score.py", name, linalg=linalg)[name]

    def one(seed: str, sizes: list[str]) -> float:
        statistics = [f(x) for x in ours.features(seed, *sizes) for f in (_mean, _covariance)]
        return float(distance(*statistics))

    return each(one)


def _mean(x: Any) -> Any:
    return x.mean(axis=0)


def _covariance(x: Any) -> Any:
    return np.cov(x, rowvar=False)


CAPTIONS = "pycocoevalcap 1.2, on the same tokens"

REFERENCES: dict[str, tuple[str, Callable[[Path], Score]]] = {
    "vqa_script": ("VQAEval as in salesforce-lavis 1.0.2", vqa_script),
    "evalai": ("TextVQA in lmms-eval 0.7.3", evalai),
    "pope_script": ("evaluate.py of AoiDragon/POPE", pope_script),
    "pope_lmms": ("POPE in lmms-eval 0.7.3", pope_lmms),
    "mme": ("MME in lmms-eval 0.7.3", mme),
    "hallusion": ("HallusionBench in lmms-eval 0.7.3", hallusion),
    "anls": ("ANLS in lmms-eval 0.7.3", anls),
    "relaxed": ("ChartQA in lmms-eval 0.7.3", relaxed),
    "exact": ("GQA's exact match in lmms-eval 0.7.3", exact),
    "mmmu": ("MMMU in lmms-eval 0.7.3", mmmu),
    "mmbench": ("MMBench in lmms-eval 0.7.3, before ChatGPT is asked", mmbench),
    "scienceqa": ("ScienceQA in lmms-eval 0.7.3", scienceqa),
    "boxes": ("RefCOCO in lmms-eval 0.7.3", boxes),
    "chair": ("things in captions, utils/chair.py of LisaAnne/Hallucination", chair),
    "chair_scores": ("CHAIRs and CHAIRi, utils/chair.py of LisaAnne/Hallucination", chair_scores),
    "seed": ("SEED-Bench in lmms-eval 0.7.3", seed),
    "ai2d": ("AI2D in lmms-eval 0.7.3", ai2d),
    "vizwiz": ("VizWiz in lmms-eval 0.7.3", vizwiz),
    "amber_discriminative": ("inference.py of junyangwang0410/AMBER", amber_discriminative),
    "amber_generative": ("AMBER in lmms-eval 0.7.3, without spaCy's vectors", amber_generative),
    "llava_bench": ("LLaVA-Bench in lmms-eval 0.7.3, unrounded", llava_bench),
    "mmhal": ("eval_gpt4.py of MMHal-Bench", mmhal),
    "mmvet": ("MM-Vet in lmms-eval 0.7.3", mmvet),
    "mm_safetybench": ("MM-SafetyBench in VLMEvalKit (ms-vlmeval 0.0.20)", mm_safetybench),
    "cider_d": (CAPTIONS, captions("Cider")),
    "bleu_4": (CAPTIONS, captions("Bleu")),
    "rouge_l": (CAPTIONS, captions("Rouge")),
    "fid": ("calculate_frechet_distance of mseitzer/pytorch-fid", fid),
}
