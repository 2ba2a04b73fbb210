"""Questions per second: Triptych's batches against a plain loop over `generate`, the same model, 500 mixed questions.

    python -m benchmarks.asking RUN --data FOLDER-WITH-COCO-ANNOTATIONS [--questions 500]

Several questions a picture: is a thing there (three), which of four things is there (two, options), describe it (one). The
loop asks one question after the other, each with its picture encoded and its prompt read anew; Triptych sorts by length,
reads a picture's prompt once for all its questions, and takes options from one prefill. Processor time is compared, since
others may be at work on the machine. Writes benchmarks/results/asking.md.
"""

from __future__ import annotations

import argparse
import random
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from triptych import load
from triptych.conversation import Conversation, user
from triptych.evaluate.benchmarks import catalogue
from triptych.evaluate.benchmarks.readers import read
from triptych.generate.config import GenerationSettings, Reply
from triptych.generate.generator import Generator
from triptych.generate.likelihood import LikelihoodResponder

SETTINGS = GenerationSettings(max_new_tokens=16, batch_size=32)


def questions(data: Path, count: int) -> list[Conversation]:
    """Mixed questions, those of a picture side by side."""
    draw = random.Random(0)
    by_picture: dict[str, list[Conversation]] = {}
    pictures = {item.picture: item for item in read(catalogue.load("chair"), data)}
    known = sorted({str(thing) for item in pictures.values() for thing in item.truth})
    for picture, item in pictures.items():
        there = list(item.truth)
        asked = [Conversation((user(*item.images, "Describe this picture."),), id=f"{picture}/d")]
        for n in range(3):
            thing = draw.choice(there if n % 2 else known)
            asked.append(Conversation((user(*item.images, f"Is there a {thing} in the image?"),), id=f"{picture}/y{n}"))
        for n in range(2):
            options = [draw.choice(there), *draw.sample([thing for thing in known if thing not in there], 3)]
            listed = "\n".join(f"{letter}. {option}" for letter, option in zip("ABCD", options, strict=True))
            text = f"What is in the picture?\n{listed}\nAnswer with the option's letter."
            asked.append(
                Conversation((user(*item.images, text),), id=f"{picture}/c{n}", annotations={"options": options})
            )
        by_picture[picture] = asked
    flat = [conversation for asked in by_picture.values() for conversation in asked]
    while len(flat) < count:  # the same pictures asked again in other words
        flat += [
            Conversation((user(*c.media, f"Please: {c.messages[0].text}"),), id=f"{c.id}+", annotations=c.annotations)
            for c in flat
        ]
    return flat[:count]


def plainly(run: Path, asked: Sequence[Conversation]) -> list[Reply]:
    """One after the other; nothing is remembered from one to the next."""
    model = load(run).model
    return [Generator(model).respond([conversation], SETTINGS)[0] for conversation in asked]


def together(run: Path, asked: Sequence[Conversation]) -> list[Reply]:
    """As `triptych evaluate` asks."""
    generator = Generator(load(run).model)
    chooser = LikelihoodResponder(generator)
    found: dict[str, Reply] = {}
    for start in range(0, len(asked), 2 * SETTINGS.batch_size):
        part = asked[start : start + 2 * SETTINGS.batch_size]
        written = [conversation for conversation in part if not conversation.annotations]
        chosen = [conversation for conversation in part if conversation.annotations]
        found |= dict(zip([c.id for c in written], generator.respond(written, SETTINGS), strict=True))
        found |= dict(zip([c.id for c in chosen], chooser.respond(chosen, SETTINGS), strict=True))
    return [found[conversation.id] for conversation in asked]


def main() -> None:
    """Measure both and write the result."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("run", type=Path)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--questions", type=int, default=500)
    arguments = parser.parse_args()
    asked = questions(arguments.data, arguments.questions)
    load(arguments.run)  # files are in memory for both
    seconds: dict[str, float] = {}
    ways: dict[str, Callable[[Path, Sequence[Conversation]], list[Reply]]] = {
        "together": together,
        "plain loop": plainly,
    }
    said: dict[str, list[Reply]] = {}
    for name, way in ways.items():
        loaded = time.process_time()
        load(arguments.run)
        loaded = time.process_time() - loaded
        started = time.process_time()
        said[name] = way(arguments.run, asked)
        seconds[name] = time.process_time() - started - loaded
        print(name, f"{seconds[name]:.1f} s", flush=True)
    free = [i for i, conversation in enumerate(asked) if not conversation.annotations]
    same = sum(said["together"][i].text == said["plain loop"][i].text for i in free)
    lines = [
        "# Asking 500 mixed questions" if len(asked) == 500 else f"# Asking {len(asked)} mixed questions",
        "",
        f"{len(asked)} questions about {len({str(m) for c in asked for m in c.media})} pictures, one core, processor time without loading.",
        "",
        "| way | seconds | questions a second |",
        "| --- | ---: | ---: |",
        *(f"| {name} | {value:.1f} | {len(asked) / value:.2f} |" for name, value in seconds.items()),
        "",
        f"Ratio: {seconds['plain loop'] / seconds['together']:.1f}. Of the {len(free)} written answers {same} are the same text both "
        "ways (batches round differently in bfloat16).",
    ]
    (Path(__file__).parent / "results" / "asking.md").write_text("\n".join(lines) + "\n")
    print("\n".join(lines))


if __name__ == "__main__":
    main()
