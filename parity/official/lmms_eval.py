"""The real lmms-eval through Triptych's plug-in, beside `triptych evaluate`, on the same five questions.

    python -m parity.official.lmms_eval --python ENVIRONMENT/bin/python

The environment holds Triptych and lmms-eval (`pip install 'triptych[lmms]'`); this process trains a tiny run and writes
two tasks, one written and one by likelihood. Both programs answer them, with one process and with two (`accelerate
launch`, `torchrun`). Writes benchmarks/results/lmms_eval.md.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from parity.pages import RESULTS, origin, table
from triptych.environment import describe
from triptych.files import write_atomically

sys.path.insert(0, str(Path(__file__).parents[2] / "tests"))

OPTIONS = ("It is red.", "It is green.", "It is blue.", "It is yellow.")
QUESTIONS = (0, 1, 2, 5, 7)
"""Pictures of the tiny world that are asked about; picture `i` has colour `i % 4`."""

WRITTEN = """
title: Five written answers
paper: none
script: none
data: {folder: five_written, get: nothing, put: [questions.json], licence: none}
source: {kind: records, file: questions.json, question: "{question}", images: ["{image}"], truth: "{answer}"}
prompt: "{question}"
metric: exact
answer: generate
rules: [triptych]
headline: accuracy
generation: {max_new_tokens: 6}
"""

CHOSEN = """
title: Five choices
paper: none
script: none
data: {folder: five_chosen, get: nothing, put: [questions.json], licence: none}
source: {kind: records, file: questions.json, question: "{question}", images: ["{image}"], options: options, truth: "{truth}", truth_as: index}
prompt: "{question}"
metric: choice
answer: either
rules: [triptych]
headline: accuracy
"""

THEIRS = """
task: {name}
dataset_path: json
dataset_kwargs: {{data_files: {{test: {file}}}}}
test_split: test
output_type: {kind}
doc_to_visual: !function utils.pictures
doc_to_text: "{{{{question}}}}"
{target}
metric_list: [{{metric: {metric}, aggregation: mean, higher_is_better: true}}]
metadata: {{version: 0}}
"""

UTILS = """
from pathlib import Path

from PIL import Image


def pictures(document):
    return [Image.open(Path(__file__).parent / document["image"]).convert("RGB")]


def process(document, results):
    return {"accuracy": float(results[0].strip() == document["answer"])}
"""


@dataclass(frozen=True)
class Setting:
    """A way of running lmms-eval.

    Args:
        name: In the table.
        launcher: What stands between the interpreter and lmms-eval's arguments.
        task: Which of the two.
        options: Further arguments.
    """

    name: str
    launcher: tuple[str, ...]
    task: str
    options: tuple[str, ...] = ()


_ALONE = ("-m", "lmms_eval")
_ACCELERATE = ("-m", "accelerate.commands.launch", "--cpu", "--num_processes", "2", "--num_machines", "1",
               "--mixed_precision", "no", "--dynamo_backend", "no", "-m", "lmms_eval")  # fmt: skip
_TORCHRUN = ("-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2", "-m", "lmms_eval")

SETTINGS = (
    Setting("chat, one process", _ALONE, "five_written"),
    Setting("simple, one process", _ALONE, "five_written", ("--force_simple",)),
    Setting("chat, two processes (accelerate)", _ACCELERATE, "five_written"),
    Setting("likelihood, one process", _ALONE, "five_chosen", ("--force_simple",)),
    Setting("likelihood, two processes (torchrun)", _TORCHRUN, "five_chosen", ("--force_simple",)),
)


@dataclass(frozen=True)
class Outcome:
    """Score, and per question (by its number) the answer: text, or the number of the option chosen."""

    score: float
    answers: tuple[Any, ...]


def write_tasks(folder: Path, pictures: Path, truths: tuple[str, ...]) -> None:
    """The same five questions as task folders of Triptych, and as one folder of tasks of lmms-eval."""
    rows = [
        {
            "image": f"{number:02}.png",
            "question": "What colour is this?",
            "answer": truth,
            "options": list(OPTIONS),
            "truth": number % len(OPTIONS),
        }
        for number, truth in zip(QUESTIONS, truths, strict=True)
    ]
    for name, task in (("five_written", WRITTEN), ("five_chosen", CHOSEN)):
        own = folder / "ours" / name
        own.mkdir(parents=True)
        (own / "task.yaml").write_text(task)
        (own / "questions.json").write_text(json.dumps(rows))
        for row in rows:
            (own / str(row["image"])).write_bytes((pictures / str(row["image"])).read_bytes())
    theirs = folder / "theirs"
    theirs.mkdir()
    (theirs / "utils.py").write_text(UTILS)
    (theirs / "questions.json").write_text(json.dumps(rows))
    for row in rows:
        (theirs / str(row["image"])).write_bytes((pictures / str(row["image"])).read_bytes())
    written = "doc_to_target: answer\nprocess_results: !function utils.process\ngeneration_kwargs: {max_new_tokens: 6, until: []}"
    chosen = "doc_to_choice: options\ndoc_to_target: truth"
    for name, kind, target, metric in (
        ("five_written", "generate_until", written, "accuracy"),
        ("five_chosen", "multiple_choice", chosen, "acc"),
    ):
        text = THEIRS.format(name=name, file=theirs / "questions.json", kind=kind, target=target, metric=metric)
        (theirs / f"{name}.yaml").write_text(text)


def ours(python: Path, run: Path, folder: Path, task: str) -> Outcome:
    """`triptych evaluate`."""
    likelihood = ["--likelihood", "text"] if task == "five_chosen" else []
    output = folder / "evaluated" / task
    _run(
        [python, "-m", "triptych", "evaluate", run, "--tasks", folder / "ours" / task, "--data", folder / "ours",
         "--output", output, *likelihood], folder
    )  # fmt: skip
    records = [json.loads(line) for line in (output / "evaluation" / f"{task}.jsonl").read_text().splitlines()]
    result = json.loads((output / "results.json").read_text())
    answers = [record["answer"] for record in sorted(records, key=lambda record: int(record["id"]))]
    if task == "five_chosen":
        answers = ["ABCD".index(letter) for letter in answers]
    return Outcome(result["tasks"][task]["metrics"]["accuracy"]["value"], tuple(answers))


def theirs(python: Path, run: Path, folder: Path, setting: Setting) -> tuple[Outcome, str, str]:
    """lmms-eval: the outcome, the command, and the table that it prints."""
    output = folder / "lmms" / re.sub(r"\W+", "-", setting.name).strip("-")
    arguments = [
        *setting.launcher, "--model", "triptych", "--model_args", f"run={run}", "--tasks", setting.task, "--include_path",
        str(folder / "theirs"), "--batch_size", "4", "--output_path", str(output), "--log_samples", *setting.options,
    ]  # fmt: skip
    printed = _run([python, *arguments], folder)
    written = (*output.rglob("*_results.json"), *output.rglob("*_samples_*.jsonl"))
    if len(written) != 2:  # it exits with 0 whatever happened
        raise RuntimeError(
            f"{setting.name}: lmms-eval wrote {len(written)} files, expected results and samples\n{printed[-3000:]}"
        )
    results, samples = written
    scores = json.loads(results.read_text())["results"][setting.task]
    score = next(v for k, v in scores.items() if k.split(",")[0] in ("accuracy", "acc"))
    rows = sorted((json.loads(line) for line in samples.read_text().splitlines()), key=lambda row: row["doc_id"])
    answers = [_answer(row["filtered_resps"]) for row in rows]
    command = " ".join(arguments).replace(str(folder), "FOLDER").replace(str(run), "RUN")
    lines = [line for line in printed.splitlines() if line.startswith("|")]
    return Outcome(score, tuple(answers)), f"python {command}", "\n".join(lines)


def _answer(responses: Any) -> Any:
    if isinstance(responses, str):
        return responses
    if isinstance(responses[0], str):
        return responses[0]
    losses = [float(loss) for loss, _ in responses]
    return losses.index(min(losses))


def _run(command: list[Any], folder: Path) -> str:
    environment = {
        **os.environ, "HF_HOME": str(folder / "hf"), "HF_HUB_OFFLINE": "1", "OMP_NUM_THREADS": "1",
        "CUDA_VISIBLE_DEVICES": "", "TRIPTYCH_CACHE": str(folder / "cache"),
    }  # fmt: skip
    environment.pop("PYTHONPATH", None)  # the environment's own packages
    done = subprocess.run(
        [str(part) for part in command], capture_output=True, text=True, env=environment, cwd=folder, timeout=600
    )
    if done.returncode:
        raise RuntimeError(f"{' '.join(map(str, command))}\n{done.stdout[-2000:]}\n{done.stderr[-4000:]}")
    return done.stdout + done.stderr


def prepare(folder: Path) -> Path:
    """A tiny trained run, and tasks whose truths it sometimes writes."""
    import tiny_world  # type: ignore[import-not-found]
    from triptych.training.loop import train

    os.environ["TRIPTYCH_CACHE"] = str(folder / "cache")
    world = tiny_world.make(folder / "world")
    run = train(world.recipe({"stages.1.steps": 150, "stages.1.learning_rate": 3e-3}), folder / "run", quiet=True)
    from triptych.api import load
    from triptych.generate.config import GenerationSettings

    model = load(run)
    said = [
        model.ask(world.picture(i), "What colour is this?", settings=GenerationSettings(max_new_tokens=6))
        for i in QUESTIONS
    ]
    # Three truths are what the run writes, so that the score is neither 0 nor 1.
    write_tasks(folder, world.folder / "pictures", (said[0], "nothing", said[2], "nothing", said[4]))
    return run


def main() -> None:
    """Run both programs, compare, write the page."""
    parser = argparse.ArgumentParser(prog="python -m parity.official.lmms_eval")
    parser.add_argument("--python", type=Path, required=True, help="of an environment with triptych and lmms-eval")
    parser.add_argument("--output", type=Path, default=RESULTS / "lmms_eval.md", help="the page")
    chosen = parser.parse_args()
    python = chosen.python.absolute()
    with tempfile.TemporaryDirectory() as made:
        folder = Path(made)
        run = prepare(folder)
        expected = {task: ours(python, run, folder, task) for task in ("five_written", "five_chosen")}
        rows, texts = [], []
        for setting in SETTINGS:
            outcome, command, printed = theirs(python, run, folder, setting)
            own = expected[setting.task]
            same = sum(a == b for a, b in zip(own.answers, outcome.answers, strict=True))
            rows.append([setting.name, f"`{setting.task}`", f"{own.score:.3f}", f"{outcome.score:.3f}", f"{same} of 5"])
            texts.append(f"## {setting.name}\n\n```\n{command}\n```\n\n{printed}\n")
            print(*rows[-1], flush=True)
            if outcome != own:
                sys.exit(f"{setting.name}: {outcome} is not {own}")
    shown = _versions(python)
    head = ["lmms-eval", "task", "`triptych evaluate`", "lmms-eval", "equal answers"]
    text = f"""# lmms-eval through Triptych's plug-in

The same five questions of a tiny trained run, asked by `triptych evaluate` and by lmms-eval {shown["lmms_eval"]} (transformers {shown["transformers"]},
torch {shown["torch"]}), written and by likelihood (`--likelihood text`), with one process and with two. Scores and answers are equal.

{table(head, rows)}

{chr(10).join(texts)}
{origin({**describe("cpu"), "command": "python -m parity.official.lmms_eval --python ENVIRONMENT/bin/python"})}
"""
    write_atomically(chosen.output, text)
    print("wrote", chosen.output)


def _versions(python: Path) -> dict[str, str]:
    code = "import importlib.metadata as m, json; print(json.dumps({n: m.version(n) for n in ('lmms_eval', 'transformers', 'torch')}))"
    return dict(
        json.loads(subprocess.run([str(python), "-c", code], capture_output=True, text=True, check=True).stdout)
    )


if __name__ == "__main__":
    main()
