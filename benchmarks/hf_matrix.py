"""`triptych evaluate hf:FOLDER` over every vision-language class that builds tiny, against transformers asked directly.

    python -m benchmarks.hf_matrix [NAME …] [--folders FOLDER] [--output FOLDER]

Writes hf_matrix.md and .json to benchmarks/results (hf_matrix_without_torchvision.md where it is missing; some folders
cannot be made there, so `--folders` takes those that another environment made). Each class gets random weights, a tiny tokenizer and its own processor,
is saved as a folder and asked five questions in one batch; a loop of `apply_chat_template` and `generate` asks the same,
one at a time. A cell passes when all five answers are equal, or when the class is refused in one line.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import json
import sys
import tempfile
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
import transformers
from PIL import Image as Pillow

from benchmarks.results import FOLDER, origin, table
from triptych.cli.commands.evaluate.benchmarks import EvaluateOptions, evaluate_any
from triptych.environment import describe, torchvision_problem
from triptych.errors import TriptychError
from triptych.evaluate.responders.hf_prompts import one_line
from triptych.files import write_atomically

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))

import tiny_vlms

TOKENS = 8
QUESTIONS = (
    ("first.png", "What colour is this?"),
    ("second.png", "What colour is this?"),
    ("first.png", "And on the left? And on the right? Say what is there, and who."),
    ("wide.png", "Say hello."),
    ("second.png", "Who is it, and what is on the left of it, and what is on the right?"),
)

TASK = f"""
title: Five questions
paper: none
script: none
data: {{folder: five, get: nothing, put: [questions.json], licence: none}}
source: {{kind: records, file: questions.json, question: "{{question}}", images: ["{{image}}"], truth: "{{truth}}"}}
prompt: "{{question}}"
metric: exact
answer: generate
rules: [triptych]
headline: accuracy
generation: {{max_new_tokens: {TOKENS}, batch_size: 5}}
"""

PLAIN = {"blip2_opt", "blip2_t5", "instructblip_llama", "instructblip_t5", "paligemma", "florence2", "kosmos2", "git", "blip"}  # fmt: skip
"""Classes whose processors take the question as it is, as their model pages show."""
PLACEHOLDER = {"llava_no_template", "chameleon"}
"""Classes without a template whose pages put the placeholder in front of the question."""
ENCODER_DECODER = {"blip2_t5", "instructblip_t5", "florence2"}


@dataclass(frozen=True)
class Row:
    """One class: `verdict` is `equal`, `refused` or `differs`; `pictures` whether answers change with the picture."""

    name: str
    model: str
    verdict: str
    batch: str
    pictures: str
    answers: int
    detail: str


def data(folder: Path) -> Path:
    """Three pictures, five questions, the task file."""
    five = folder / "five"
    five.mkdir(parents=True)
    generator = np.random.default_rng(0)
    for name, (width, height) in (("first", (40, 32)), ("second", (32, 32)), ("wide", (64, 32))):
        noise = generator.integers(0, 256, (height // 8, width // 8, 3), dtype=np.uint8)
        Pillow.fromarray(noise).resize((width, height), Pillow.Resampling.NEAREST).save(five / f"{name}.png")
    rows = [{"image": image, "question": question, "truth": "red"} for image, question in QUESTIONS]
    (five / "questions.json").write_text(json.dumps(rows))
    (five / "task.yaml").write_text(TASK)  # a task is named after its folder
    return five / "task.yaml"


@torch.inference_mode()
def direct(name: str, folder: Path, pictures: Path, *, turned: bool = False) -> list[str]:
    """Each question asked alone, as transformers' pages show for the class; pictures as they are, or upside down."""
    processor: Any = transformers.AutoProcessor.from_pretrained(folder)
    model: Any = transformers.AutoModelForImageTextToText.from_pretrained(folder).eval()
    answers = []
    for file, question in QUESTIONS:
        picture = Pillow.open(pictures / file).convert("RGB")
        picture = picture.rotate(180) if turned else picture
        if name in PLAIN:
            inputs = processor(images=picture, text=question, return_tensors="pt")
        elif name in PLACEHOLDER:
            inputs = processor(images=picture, text=f"<image>\n{question}", return_tensors="pt")
        elif name == "llava_tokenizer_template":
            said = [{"role": "user", "content": f"<image>\n{question}"}]
            prompt = processor.tokenizer.apply_chat_template(said, add_generation_prompt=True, tokenize=False)
            inputs = processor(images=picture, text=prompt, return_tensors="pt")
        else:
            content = [{"type": "image", "image": picture}, {"type": "text", "text": question}]
            inputs = processor.apply_chat_template(
                [{"role": "user", "content": content}],
                add_generation_prompt=True,
                tokenize=True,
                return_dict=True,
                return_tensors="pt",
            )
        out = model.generate(**inputs, max_new_tokens=TOKENS, do_sample=False)
        length = inputs["input_ids"].shape[1]
        # BLIP answers with its prompt less the closing token.
        new = out[0, 1:] if name in ENCODER_DECODER else out[0, length - (name == "blip") :]
        answers.append(processor.tokenizer.decode(_until(new, model, processor), skip_special_tokens=True).strip())
    return answers


def _until(new: torch.Tensor, model: Any, processor: Any) -> list[int]:
    """The tokens before the first that ends an answer."""
    ends = model.generation_config.eos_token_id
    stops = {*(ends if isinstance(ends, list) else [ends]), processor.tokenizer.eos_token_id}
    said: list[int] = []
    for token in new.tolist():
        if token in stops:
            break
        said.append(token)
    return said


def examine(name: str, folder: Path, task: Path, checkpoints: Path) -> Row:
    """Build, evaluate and ask directly."""
    checkpoint = checkpoints / name
    if not (checkpoint / "config.json").is_file():
        tiny_vlms.write(name, checkpoint)
    model = json.loads((checkpoint / "config.json").read_text())["architectures"][0]
    try:
        with contextlib.redirect_stdout(io.StringIO()):
            options = EvaluateOptions(data=folder, output=folder / f"{name}-run")
            evaluate_any(f"hf:{checkpoint}", [str(task)], options)
    except TriptychError as error:
        text = str(error).replace(f"{checkpoints}/", "")
        return Row(name, model, "refused" if "\n" not in text else "differs", "", "", 0, text)
    records = (folder / f"{name}-run" / "evaluation" / "five.jsonl").read_text().splitlines()
    ours = [json.loads(line)["answer"] for line in records]
    try:
        theirs = direct(name, checkpoint, task.parent)
    except Exception as error:  # the comparison itself does not run: nothing is shown
        return Row(name, model, "differs", "", "", 0, f"asked directly: {type(error).__name__}: {one_line(error)}")
    same = sum(a == b for a, b in zip(ours, theirs, strict=True))
    pictures = "yes" if theirs != direct(name, checkpoint, task.parent, turned=True) else "no"
    verdict = "equal" if same == len(QUESTIONS) else "differs"
    return Row(
        name,
        model,
        verdict,
        batched(checkpoint, task),
        pictures,
        same,
        "" if verdict == "equal" else f"{ours} / {theirs}",
    )


def batched(checkpoint: Path, task: Path) -> str:
    """Whether the class reads a batch as it reads each prompt alone; those that do not are asked one by one."""
    from triptych.conversation import Conversation, Image, user
    from triptych.evaluate.responders.huggingface import HuggingFaceResponder
    from triptych.generate.config import GenerationSettings

    responder = HuggingFaceResponder(str(checkpoint))
    asked = [Conversation((user(Image(task.parent / file), text),)) for file, text in QUESTIONS]
    responder.respond(asked, GenerationSettings(max_new_tokens=1))
    return "together" if responder.reads_batches[True] else "one by one"


def main() -> None:
    """Examine all, print and write the table."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.hf_matrix")
    parser.add_argument("names", nargs="*", default=list(tiny_vlms.BUILDERS), metavar="NAME")
    parser.add_argument("--folders", type=Path, help="where the checkpoints lie, or will")
    parser.add_argument("--output", type=Path, default=FOLDER, help="folder of the page")
    chosen = parser.parse_args()
    names = chosen.names
    transformers.logging.set_verbosity_error()
    transformers.logging.disable_progress_bar()
    rows = []
    with tempfile.TemporaryDirectory() as made:
        task = data(Path(made))
        for name in names:
            rows.append(examine(name, Path(made), task, chosen.folders or Path(made)))
            print(*asdict(rows[-1]).values(), sep=" | ", flush=True)
    if names != list(tiny_vlms.BUILDERS):
        return
    where = describe("cpu")
    counts = {verdict: sum(row.verdict == verdict for row in rows) for verdict in ("equal", "refused", "differs")}
    classes = len({row.model for row in rows if row.verdict == "equal"})
    beside = "without torchvision" if torchvision_problem() else "with torchvision"
    page = chosen.output / ("hf_matrix.md" if torchvision_problem() is None else "hf_matrix_without_torchvision.md")
    head = ["folder", "class", "answers", "equal", "asked", "picture changes the answer", "detail"]
    cells = [[r.name, f"`{r.model}`", r.verdict, f"{r.answers} / 5", r.batch, r.pictures, r.detail] for r in rows]
    text = f"""# `evaluate hf:` over vision-language classes, {beside}

Tiny random weights, each class's own processor, five questions about pictures of three shapes, float32. `equal`: `triptych evaluate hf:FOLDER` gives
the words that `apply_chat_template` (or the processor, where there is no template) and `generate` give one question at a time. `together`: a batch
gives each prompt's own logits; classes that read batches otherwise are asked one by one.

{counts["equal"]} of {len(rows)} equal ({classes} classes), {counts["refused"]} refused in one line, {counts["differs"]} differ.

{table(head, cells)}

{origin({**where, "command": "python -m benchmarks.hf_matrix"})}
"""
    write_atomically(page, text)
    write_atomically(
        page.with_suffix(".json"), json.dumps({"origin": where, "rows": [asdict(r) for r in rows]}, indent=1) + "\n"
    )
    print(f"wrote {page}")
    if counts["differs"]:
        sys.exit("answers differ")


if __name__ == "__main__":
    main()
