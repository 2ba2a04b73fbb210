"""Questions per second: an evaluation's way of asking against a plain loop over transformers' `generate`, the same model.

    python -m benchmarks.asking RUN … --data FOLDER-WITH-COCO-ANNOTATIONS [--questions 500] [--blocks 5]

Six questions a picture: is a thing there (three), which of four things is there (two, with options), describe it (one).

- **plain loop**: one question after the other; its picture is prepared, encoded and adapted, put among the embeddings of its
  prompt, and `generate` of transformers writes the answer;
- **triptych**: what `triptych evaluate` does: `Asking` with a record on the disk for every answer;
- **triptych, choices by likelihood**: the same with `--likelihood letter`.

The questions are cut into blocks of whole pictures. Every way answers every block before the next, and who begins changes
from block to block, so that the ratios of a block compare times that are seconds apart. Before, both sides answer a part in
float32: their answers must be the same, word for word. Writes benchmarks/results/asking.json and asking.md.
"""

from __future__ import annotations

import argparse
import json
import random
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from benchmarks.harness import pairwise_ratio, summary
from benchmarks.results import FOLDER, Settings, short, table, write
from triptych import load
from triptych.data.sources import build as build_source
from triptych.evaluate.asking import Asking
from triptych.evaluate.benchmarks import catalogue
from triptych.evaluate.benchmarks.readers import read
from triptych.evaluate.tasks.question import Question
from triptych.generate.config import GenerationSettings, Responder
from triptych.generate.generator import Generator
from triptych.generate.likelihood import LikelihoodResponder
from triptych.model.composed import MultimodalModel

ASK = GenerationSettings(max_new_tokens=16, batch_size=48)
PER_PICTURE = 6
CHECKED = 24
"""Questions that both sides answer in float32, to see that they compute the same."""
WANTED = 3.0
LOOP, OURS, CHOSEN = "plain loop", "triptych", "triptych, choices by likelihood"

Way = Callable[[Sequence[Question]], list[str]]


def questions(data: Path, count: int) -> list[Question]:
    """Mixed questions, those of a picture side by side; where pictures run out, they are asked about in other words."""
    draw = random.Random(0)
    pictures = {item.picture: item for item in read(catalogue.load("chair"), data)}
    known = sorted({str(thing) for item in pictures.values() for thing in item.truth})
    made: list[Question] = []
    for turn in range(1 + count // (PER_PICTURE * len(pictures))):
        please = ("", "Please say: ", "Look again: ")[turn % 3]
        for number, (picture, item) in enumerate(pictures.items()):
            there = [str(thing) for thing in item.truth]
            absent = [thing for thing in known if thing not in there]
            asked: list[tuple[str, str, list[str]]] = [("describe", "Describe this picture.", [])]
            for group in (absent, there, absent):
                asked += [("there", f"Is there a {draw.choice(group)} in the image?", [])]
            for _ in range(2):
                options = [draw.choice(there), *draw.sample(absent, 3)]
                listed = "\n".join(f"{letter}. {option}" for letter, option in zip("ABCD", options, strict=True))
                asked.append(
                    ("choice", f"What is in the picture?\n{listed}\nAnswer with the option's letter.", options)
                )
            made += [
                Question(f"{turn}/{picture}/{n}", kind, please + text, "", item.images, number, number,
                         {"options": options} if options else {})
                for n, (kind, text, options) in enumerate(asked)
            ]  # fmt: skip
    return made[:count]


def plain_loop(model: MultimodalModel, asked: Sequence[Question]) -> list[str]:
    """One question at a time with transformers' `generate`; nothing is kept from one to the next."""
    encoder, adapter, language = model.encoder("image"), model.adapter("image"), model.language
    ends = sorted({language.template.end[-1], language.tokenizer.eos_token_id})
    said = []
    with torch.inference_mode():
        for question in asked:
            layout = model.plan(question.conversation, reply=True)
            embedded = language.embed(torch.tensor(layout.ids))
            for span in layout.spans:
                features = adapter(encoder.encode([encoder.prepare(span.medium)])[0][None])[0]
                embedded[span.start : span.start + span.length] = features.to(embedded.dtype)
            ids = language.model.generate(
                inputs_embeds=embedded[None],
                attention_mask=torch.ones(1, len(embedded), dtype=torch.long),
                max_new_tokens=ASK.max_new_tokens,
                do_sample=False,
                eos_token_id=ends,
                pad_token_id=ends[0],
            )[0].tolist()
            spoken = ids[: next((n for n, token in enumerate(ids) if token in ends), len(ids))]
            said.append(language.decode(spoken).strip())
    return said


def evaluated(model: MultimodalModel, asked: Sequence[Question], likelihood: bool = False) -> list[str]:
    """As `triptych evaluate` asks: in batches, every answer on the disk before the next batch; a fresh memory of pictures."""
    generator = Generator(model)
    with tempfile.TemporaryDirectory() as folder:

        def put(responder: Responder, part: Sequence[Question], name: str) -> dict[str, str]:
            asking = Asking(responder, ASK, "asking", 0.0, progress=False)
            return {r.id: r.answer for r in asking.ask(part, Path(folder) / f"{name}.jsonl", name)}

        if not likelihood:
            found = put(generator, asked, "all")
        else:
            found = put(generator, [q for q in asked if not q.facts], "written")
            found |= put(LikelihoodResponder(generator), [q for q in asked if q.facts], "chosen")
    return [found[question.id] for question in asked]


def ours(run: str, questions: int) -> dict[str, Any]:
    """Put questions about the first held-out pictures of a run to it as `triptych evaluate` does; for `benchmarks.commits`."""
    loaded = load(run)
    task = next(iter(loaded.recipe.evaluation.values()))
    source = build_source(loaded.recipe.data[task.data], Path(loaded.recipe.base))
    kinds = (("describe", "Describe this picture."), ("there", "Is there a dog in the image?"))
    asked = [
        Question(f"{n}/{kind}", kind, text, "", source[n].media, n, n, {})
        for n in range(questions // len(kinds))
        for kind, text in kinds
    ]
    evaluated(loaded.model, asked[: len(kinds)])  # nobody pays for the first call
    began = time.perf_counter()
    said = evaluated(loaded.model, asked)
    return {"seconds": time.perf_counter() - began, "answers": said}


@dataclass
class Taken:
    """What a way took for each block, and what it said."""

    wall: list[float]
    processor: list[float]
    said: list[str]


def measure(
    model: MultimodalModel, asked: Sequence[Question], blocks: int, say: Callable[[str], None]
) -> dict[str, Taken]:
    """Every way through every block."""
    ways: dict[str, Way] = {
        LOOP: lambda part: plain_loop(model, part),
        OURS: lambda part: evaluated(model, part),
        CHOSEN: lambda part: evaluated(model, part, likelihood=True),
    }
    taken = {name: Taken([], [], []) for name in ways}
    for way in ways.values():
        way(asked[-PER_PICTURE:])  # nobody pays for the first call
    size = -(-len(asked) // (blocks * PER_PICTURE)) * PER_PICTURE
    for number, start in enumerate(range(0, len(asked), size)):
        part = asked[start : start + size]
        for name in list(ways) if number % 2 == 0 else list(reversed(ways)):
            wall, processor = time.perf_counter(), time.process_time()
            said = ways[name](part)
            taken[name].wall.append(time.perf_counter() - wall)
            taken[name].processor.append(time.process_time() - processor)
            taken[name].said += said
            say(f"  block {number + 1}, {len(part)} questions, {name}: {taken[name].wall[-1]:.1f} s")
    return taken


def profile(model: MultimodalModel, asked: Sequence[Question]) -> dict[str, float]:
    """Seconds of each part while Triptych answers: pictures, shared beginnings and prompts, writing, all else."""
    spent = dict.fromkeys(("pictures", "prompts", "writing"), 0.0)

    def timed(owner: Any, name: str, part: str, inside: str | None = None) -> Callable[[], None]:
        whole = getattr(owner, name)

        def run(*a: Any, **k: Any) -> Any:
            began, before = time.perf_counter(), spent[inside] if inside else 0.0
            found = whole(*a, **k)
            spent[part] += time.perf_counter() - began - (spent[inside] - before if inside else 0.0)
            return found

        setattr(owner, name, run)
        return lambda: setattr(owner, name, whole)

    undo = [timed(Generator, "features", "pictures"), timed(Generator, "_prefill", "prompts", "pictures")]
    began = time.perf_counter()
    try:
        evaluated(model, asked)
    finally:
        for back in undo:
            back()
    spent["writing"] = time.perf_counter() - began - spent["pictures"] - spent["prompts"]
    return spent


def compared(run: Path, asked: Sequence[Question], blocks: int, say: Callable[[str], None]) -> dict[str, Any]:
    """Check one run's answers, measure it, and say what was found."""
    exact = load(run).model.float()
    checked = asked[:CHECKED]
    one, other = plain_loop(exact, checked), evaluated(exact, checked)
    if one != other:
        differ = [(q.text, a, b) for q, a, b in zip(checked, one, other, strict=True) if a != b]
        raise AssertionError(f"{run}: the sides do not give the same answers in float32: {differ[:3]}")
    say(f"{run.name}: the same {len(checked)} answers in float32")
    del exact
    model = load(run).model
    taken = measure(model, asked, blocks, say)
    said = {name: way.said for name, way in taken.items()}
    choices = [n for n, question in enumerate(asked) if question.facts]
    return {
        "run": run.name,
        "precision": str(model.language.embedding.weight.dtype).removeprefix("torch."),
        "seconds": {name: summary(way.wall) for name, way in taken.items()},
        "processor_seconds": {name: summary(way.processor) for name, way in taken.items()},
        "questions_per_second": {name: len(asked) / sum(way.wall) for name, way in taken.items()},
        "ratio": {name: pairwise_ratio(taken[LOOP].wall, way.wall) for name, way in taken.items() if name != LOOP},
        "ratio_processor": {
            name: pairwise_ratio(taken[LOOP].processor, way.processor) for name, way in taken.items() if name != LOOP
        },
        "equal_answers": sum(a == b for a, b in zip(said[LOOP], said[OURS], strict=True)),
        "equal_float32": len(checked),
        "letters": {name: sum(said[name][n][:1] in "ABCD" and bool(said[name][n]) for n in choices) for name in said},
        "choices": len(choices),
        "words": sum(len(text.split()) for text in said[OURS]) / len(asked),
        "profile": profile(model, asked[: len(asked) // blocks]),
        "answers": said,
    }


def page(values: dict[str, Any]) -> str:
    """The result to read."""
    rows = []
    for entry in values["measured"]:
        for name in (LOOP, OURS, CHOSEN):
            against = entry["ratio"].get(name)
            rows.append(
                [
                    f"{entry['run']}: {name}",
                    f"{sum(entry['seconds'][name]['values']):.1f}",
                    f"{entry['questions_per_second'][name]:.2f}",
                    f"**{short(against)} ×**" if against else "",
                    f"{short(entry['ratio_processor'][name])} ×" if against else "",
                ]
            )
    head = ["", "seconds", "questions a second", "ratio, block by block", "of processor time"]
    told = "\n".join(
        f"- `{e['run']}` ({e['words']:.1f} words an answer): {e['equal_answers']} of {values['questions']} answers are the same text both ways in {e['precision']}, where "
        f"batches round differently, and {e['equal_float32']} of {e['equal_float32']} in float32. Where its time goes: "
        + ", ".join(f"{part} {seconds / sum(e['profile'].values()):.0%}" for part, seconds in e["profile"].items())
        + "."
        for e in values["measured"]
    )
    return f"""# Asking {values["questions"]} mixed questions

{values["questions"]} questions about {values["pictures"]} pictures (per picture: three *is there*, two with four options, one description), answers of up to
{ASK.max_new_tokens} tokens, greedy, {values["threads"]} threads. The plain loop gives transformers' `generate` one question at a time, its picture encoded each time;
Triptych asks as `triptych evaluate` does, a record on the disk for every answer. The same weights in the same precision. Medians (and extremes) of
{values["blocks"]} blocks that take turns; wanted: {WANTED:.0f} ×.

{table(head, rows)}

{told}

Where the time goes is that of Triptych's side, all answers written: *pictures* are drawn, prepared, encoded and adapted, *prompts* read, and answers written."""


def main() -> None:
    """Measure and write the result."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("runs", type=Path, nargs="+")
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--questions", type=int, default=500)
    parser.add_argument("--blocks", type=int, default=5)
    parser.add_argument("--add", action="store_true", help="keep the runs measured before on the same questions")
    chosen = parser.parse_args()
    asked = questions(chosen.data, chosen.questions)
    quick = chosen.questions < 500
    command = (
        f"python -m benchmarks.asking {' '.join(f'runs/{run.name}' for run in chosen.runs)} --data FOLDER"
        + (" --add" if chosen.add else "")
        + (f" --questions {chosen.questions}" if quick else "")
    )
    settings = Settings(chosen.blocks, quick, FOLDER / "quick" if quick else FOLDER, command)
    measured = [compared(run, asked, chosen.blocks, settings.say) for run in chosen.runs]
    if chosen.add:
        before = json.loads((settings.folder / "asking.json").read_text())
        if before["questions"] == len(asked):
            fresh = {entry["run"] for entry in measured}
            measured = [entry for entry in before["measured"] if entry["run"] not in fresh] + measured
    values = {
        "questions": len(asked),
        "pictures": len({question.sample for question in asked}),
        "blocks": len(measured[0]["seconds"][LOOP]["values"]),
        "threads": torch.get_num_threads(),
        "measured": measured,
    }
    write("asking", values, page, settings)


if __name__ == "__main__":
    sys.exit(main())
