"""The official scoring scripts, each as a function from predictions to its numbers.

Nothing of them is kept here: they are read from a folder (see `metric_parity`), whole modules where these can be imported
alone, single functions where not.
"""

from __future__ import annotations

import ast
import contextlib
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

PARITY = Path(__file__).parents[1] / "tests" / "evaluate" / "parity"
sys.path.insert(0, str(PARITY))

import ours  # noqa: E402
import predictions  # noqa: E402

Case = tuple[str, list[str]]


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
    score = _exact_match(folder)
    return lambda cases: [
        float(score([a], [t[0]], ignore_case=True, ignore_punctuation=True)["exact_match"]) for a, t in cases
    ]


def _exact_match(folder: Path) -> Any:
    import string

    import numpy

    space = functions(folder, "lmms_eval/lmms_eval/api/metrics.py", "exact_match_hf_evaluate")
    space |= {"np": numpy, "string": string}
    return space["exact_match_hf_evaluate"]


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


def seed(folder: Path) -> Callable[[list[Case]], list[Any]]:
    made = module(folder, f"{LMMS}/seedbench/utils.py")

    def one(answer: str, options: list[str]) -> list[bool]:
        found = []
        for letter in "ABCD"[: len(options)]:
            row = made.seed_process_result({"answer": letter, "data_type": "image", "question_id": 0}, [answer])
            found.append(made.seed_aggregation_result([row["seed_all"]]) == 1.0)
        return found

    return lambda cases: [one(a, t) for a, t in cases]


def ai2d(folder: Path) -> Callable[[list[Case]], list[Any]]:
    file = folder / LMMS / "ai2d/utils.py"
    if not file.is_file():
        raise FileNotFoundError(file)
    chosen = next(node for node in ast.parse(file.read_text()).body if isinstance(node, ast.ClassDef))
    chosen.bases, chosen.body = [], [n for n in chosen.body if isinstance(n, ast.FunctionDef) and n.name == "apply"]
    space: dict[str, Any] = {"re": re}
    exec(compile(ast.Module([chosen], []), str(file), "exec"), space)
    made, score = space["MultiChoiceRegexFilter"](), _exact_match(folder)

    def one(answer: str, options: list[str]) -> list[bool]:
        said = made.apply([[answer]], [None])
        return [
            bool(score(said, [letter], ignore_case=True, ignore_punctuation=True)["exact_match"])
            for letter in "ABCD"[: len(options)]
        ]

    return lambda cases: [one(a, t) for a, t in cases]


def vizwiz(folder: Path) -> Callable[[list[Case]], list[float]]:
    made = module(folder, f"{LMMS}/vizwiz_vqa/utils.py")
    return lambda cases: [
        float(made.vizwiz_vqa_process_results({"answers": list(t), "question_id": 0}, [a])["exact_match"])
        for a, t in cases
    ]


def chair_scores(folder: Path) -> Callable[[list[Case]], list[float]]:
    made = module(folder, "chair/chair.py").CHAIR((folder / "chair" / "synonyms.txt").read_text().splitlines())

    def run(cases: list[Case]) -> list[float]:
        found: list[float] = []
        for block in range(0, len(cases), 100):
            part = cases[block : block + 100]
            captions = [{"caption": a, "image_id": i} for i, (a, _) in enumerate(part)]
            found += made.compute_chair(captions, {i: set(t) for i, (_, t) in enumerate(part)})
        return found

    return run


def amber_discriminative(folder: Path) -> Callable[[list[Case]], list[float]]:
    score = module(folder, "amber/inference.py").discriminative

    def run(cases: list[Case]) -> list[float]:
        parts = [cases[i : i + 400] for i in range(0, len(cases), 400)]
        return [x / 100 for part in parts for x in score([a for a, _ in part], [t[0] for _, t in part])]

    return run


def amber_generative(folder: Path) -> Callable[[list[Case]], list[float]]:
    """The arithmetic: nouns are given, and no two words are alike but the same one (the script asks spaCy)."""
    space = functions(folder, f"{LMMS}/amber_g/utils.py", "process_generative_task")
    space |= {"extract_nouns": str.split, "check_synonyms_word": lambda *_: False}
    names = ("chair_score", "chair_num", "safe_cover_score", "safe_cover_num", "hallu_cover_score", "hallu_cover_num",
             "non_hallu_score", "non_hallu_num")  # fmt: skip

    def run(cases: list[Case]) -> list[float]:
        found = []
        for block in range(0, len(cases), 100):
            sums = dict.fromkeys(names, 0)
            for said, truth in cases[block : block + 100]:
                at = truth.index("|")
                known = {"truth": truth[:at], "hallu": truth[at + 1 :]}
                space["process_generative_task"](
                    {"question_id": 0, "text": said},
                    known,
                    ours.ASSOCIATIONS,
                    ours.amber_known(),
                    ours.HARMLESS,
                    0.8,
                    sums,
                )
            found += [sums["chair_score"] / sums["chair_num"], sums["safe_cover_score"] / sums["safe_cover_num"]]
            found += [1 - sums["non_hallu_score"] / sums["non_hallu_num"]]
            found += [sums["hallu_cover_score"] / sums["hallu_cover_num"]]
        return found

    return run


def llava_bench(folder: Path) -> Callable[[list[Case]], list[float]]:
    path = f"{LMMS}/llava-in-the-wild/utils.py"
    space = functions(folder, path, "_parse_comparative_scores", "llava_aggregation")
    import numpy

    # The sums as they are: the script rounds them to three digits, and their ratio to one.
    space |= {"VerifyResult": lambda **k: types.SimpleNamespace(**k), "np": numpy, "round": lambda x, _: x}
    read, add = space["_parse_comparative_scores"], space["llava_aggregation"]

    def run(cases: list[Case]) -> list[float]:
        rows = [{"scores": read(verdict).metadata["scores"]} for verdict, _ in cases]
        return [add(rows[i : i + 100], "all") / 100 for i in range(0, len(rows), 100)]

    return run


def mmhal(folder: Path) -> Callable[[list[Case]], list[int]]:
    score = module(folder, "mmhal/eval_gpt4.py").analyze
    return lambda cases: list(score([verdict for verdict, _ in cases]))


def mmvet(folder: Path) -> Callable[[list[Case]], list[float]]:
    space = functions(folder, f"{LMMS}/mmvet/utils.py", "mmvet_process_results")
    space |= {"MM_VET_PROMPT": "", "time": types.SimpleNamespace(sleep=lambda _: None), "eval_logger": _Anything()}

    def one(verdict: str) -> float:
        said = iter([verdict] * 8)  # a judge that never says anything else, and then nothing
        space["get_chat_response"] = lambda *_, **__: (next(said, ""), "judge")
        known = {"question": "", "answer": "", "question_id": 0, "capability": ""}
        return float(space["mmvet_process_results"](known, [""])["gpt_eval_score"]["score"])

    return lambda cases: [one(verdict) for verdict, _ in cases]


def mm_safetybench(folder: Path) -> Callable[[list[Case]], list[str]]:
    read = functions(folder, "ms_vlmeval/vlmeval/dataset/mmsafetybench.py", "_normalize_label")["_normalize_label"]
    return lambda cases: [read(verdict) for verdict, _ in cases]


def captions(name: str) -> Callable[[Path], Callable[[list[Case]], list[float]]]:
    """A caption score of pycocoevalcap, on captions that are tokens with spaces between them."""

    def make(_: Path) -> Callable[[list[Case]], list[float]]:
        scorer = getattr(importlib.import_module(f"pycocoevalcap.{name.lower()}.{name.lower()}"), name)

        def run(cases: list[Case]) -> list[float]:
            found: list[float] = []
            for block in range(0, len(cases), 400):
                part = cases[block : block + 400]
                truths, said = {i: t for i, (_, t) in enumerate(part)}, {i: [a] for i, (a, _) in enumerate(part)}
                if name == "Bleu":
                    found.append(float(scorer(4).compute_score(truths, said, verbose=0)[0][3]))
                else:
                    found += [float(x) for x in scorer().compute_score(truths, said)[1]]
            return found

        return run

    return make


def fid(folder: Path) -> Callable[[list[Case]], list[float]]:
    import numpy

    space = functions(folder, "pytorch_fid/fid_score.py", "calculate_frechet_distance")
    space |= {"np": numpy, "linalg": importlib.import_module("scipy.linalg")}

    def one(seed: str, sizes: list[str]) -> float:
        a, b = ours.features(seed, *sizes)
        statistics = [f(x) for x in (a, b) for f in (lambda x: x.mean(axis=0), lambda x: numpy.cov(x, rowvar=False))]
        return float(space["calculate_frechet_distance"](*statistics))

    return lambda cases: [one(a, t) for a, t in cases]


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
    "chair": ("things in captions, utils/chair.py of LisaAnne/Hallucination", chair, predictions.caption_cases),
    "chair_scores": (
        "CHAIRs and CHAIRi, utils/chair.py of LisaAnne/Hallucination",
        chair_scores,
        predictions.caption_cases,
    ),
    "seed": ("SEED-Bench in lmms-eval 0.7.3", seed, predictions.choice_cases),
    "ai2d": ("AI2D in lmms-eval 0.7.3", ai2d, predictions.choice_cases),
    "vizwiz": ("VizWiz in lmms-eval 0.7.3", vizwiz, predictions.vqa_cases),
    "amber_discriminative": ("inference.py of junyangwang0410/AMBER", amber_discriminative, predictions.yes_no_cases),
    "amber_generative": (
        "AMBER in lmms-eval 0.7.3, without spaCy's vectors",
        amber_generative,
        predictions.thing_cases,
    ),
    "llava_bench": ("LLaVA-Bench in lmms-eval 0.7.3, unrounded", llava_bench, predictions.verdict_cases),
    "mmhal": ("eval_gpt4.py of MMHal-Bench", mmhal, predictions.verdict_cases),
    "mmvet": ("MM-Vet in lmms-eval 0.7.3", mmvet, predictions.verdict_cases),
    "mm_safetybench": ("MM-SafetyBench in VLMEvalKit (ms-vlmeval 0.0.20)", mm_safetybench, predictions.verdict_cases),
    "cider_d": ("pycocoevalcap 1.2, on the same tokens", captions("Cider"), predictions.corpus_cases),
    "bleu_4": ("pycocoevalcap 1.2, on the same tokens", captions("Bleu"), predictions.corpus_cases),
    "rouge_l": ("pycocoevalcap 1.2, on the same tokens", captions("Rouge"), predictions.corpus_cases),
    "fid": ("calculate_frechet_distance of mseitzer/pytorch-fid", fid, predictions.feature_cases),
}
