"""The sides of `ground_cost`, each measured in a process of its own: a training step in each way of pointing and in none, and
answers of trained models in each way and in plain words."""

from __future__ import annotations

import json
import tempfile
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

from benchmarks.harness import ROOT
from triptych.conversation import Conversation, Image, Message, Region, user
from triptych.scenes.referring import Referring, ReferringConfig

WAYS = ("text", "embedding", "call")
STUDY = ROOT / "recipes" / "studies" / "grounding.yaml"
"""Whose recipe the steps are of: one model, pictures, expressions; only the way differs."""

WARM_UP = 2
"""Steps, and answers, that are not counted."""


class Unpointed:
    """Scenes with referring expressions, answered by the name alone: `kind: benchmarks.ground_sides:Unpointed`."""

    def __init__(self, base: Path | None = None, **options: Any) -> None:
        del base
        self.data = Referring(ReferringConfig(**options))

    def __len__(self) -> int:
        return len(self.data)

    def __getitem__(self, index: int) -> Conversation:
        whole = self.data[index]
        return replace(whole, messages=tuple(_without_regions(message) for message in whole.messages))


def _without_regions(message: Message) -> Message:
    return replace(message, parts=tuple(part for part in message.parts if not isinstance(part, Region)))


def step_recipe(way: str, steps: int, batch: int) -> Any:
    """The second stage of the study's recipe in one way of pointing, or in none: regions are left out of the answers there."""
    from triptych.recipe import parse_recipe
    from triptych.study.config import load_study
    from triptych.study.variants import base_values, variant_recipe

    study = load_study(STUDY)
    base = base_values(study)
    values = base if way == "none" else variant_recipe(study, base, way, 0).model_dump(mode="json")
    (stage,) = (stage for stage in values["stages"] if stage["name"] == "ground")
    stage |= {"steps": steps + WARM_UP, "batch_size": batch, "micro_rows": batch, "log_every": 1}
    data = values["data"]["regions"] | {"count": steps * batch // 2}
    if way == "none":
        values["model"]["regions"] = None
        stage["train"] = [part for part in stage["train"] if part != "language.regions"]
        stage["learning_rates"].pop("language.regions")
        del data["kind"]
        data = {"kind": "benchmarks.ground_sides:Unpointed", **data}
    return parse_recipe(
        {**values, "name": way, "data": {"regions": data}, "stages": [stage], "evaluation": {}}, name=f"{way}: a step"
    )


def train(way: str, steps: int, batch: int) -> dict[str, Any]:
    """Train some steps from the feature cache; seconds and tokens of each, and what encoding the pictures took."""
    from triptych.model.build import build
    from triptych.training.loop import Trainer
    from triptych.training.progress import Console
    from triptych.training.run import RunFolder

    recipe = step_recipe(way, steps, batch)
    model = build(recipe)
    with tempfile.TemporaryDirectory(prefix="triptych-benchmark-run-") as place:
        Trainer(model, recipe, RunFolder.start(Path(place), recipe, resume=False), Console(quiet=True)).train()
        facts = json.loads((Path(place) / "run.json").read_text())["stages"][0]
        lines = [json.loads(line) for line in (Path(place) / "metrics.jsonl").read_text().splitlines()]
    total = [line for line in lines if "seconds" in line]  # since the stage began
    timed = [
        {key: now[key] - before[key] for key in ("seconds", "tokens")}
        for before, now in zip(total[WARM_UP - 1 :], total[WARM_UP:], strict=False)
    ]
    return {
        "seconds": [line["seconds"] for line in timed],
        "tokens": [line["tokens"] for line in timed],
        "encoding_seconds": facts["feature_seconds"],
        "pictures": steps * batch // 2,
        "parameters": {
            "regions": sum(p.numel() for name, p in model.named_parameters() if name.startswith("regions")),
            "new_tokens": sum(p.numel() for name, p in model.named_parameters() if name.startswith("language.regions")),
        },
    }


def answer(runs: dict[str, str], pictures: int, rounds: int) -> dict[str, Any]:
    """Answers one at a time: a question in words, and an expression to find in each way, taking turns.

    Each round has pictures of its own, the same for all sides; encoding them is part of the answer. The plain question is
    answered by the model that calls, which was taught to do so in one word.
    """
    from triptych.api import load
    from triptych.families.composed.grounding import build_grounder
    from triptych.generate.config import GenerationSettings

    plain = load(runs["call"])
    asked = GenerationSettings(max_new_tokens=16)

    def in_words(image: Image, expression: str) -> int:
        (reply,) = plain.respond([Conversation((user(image, f"Is there {_article(expression)}?"),))], asked)
        return reply.tokens

    sides: dict[str, Callable[[Image, str], int]] = {"plain": in_words}
    for way in WAYS:
        grounder = build_grounder(load(runs[way]))
        sides[way] = lambda image, expression, grounder=grounder: len(grounder.ground(image, expression).regions)  # type: ignore[misc]
    seconds: dict[str, list[list[float]]] = {side: [] for side in sides}
    said: dict[str, int] = dict.fromkeys(sides, 0)
    data = Referring(
        ReferringConfig(split="test", count=WARM_UP + pictures * rounds, things=16, objects=(3, 5), turns=1, kinds={"name": 1}, seed=5)
    )  # fmt: skip
    samples = [(next(iter(c.media)), c.annotations["grounding"][0].text) for c in data]
    for image, expression in samples[:WARM_UP]:
        for side in sides.values():
            side(image, expression)
    for number in range(rounds):
        part = samples[WARM_UP + number * pictures :][:pictures]
        for name in list(sides) if number % 2 == 0 else reversed(list(sides)):
            seconds[name].append([])
            for image, expression in part:
                began = time.perf_counter()
                said[name] += sides[name](image, expression)
                seconds[name][-1].append(time.perf_counter() - began)
    count = pictures * rounds
    return {"seconds": seconds, "told": {name: total / count for name, total in said.items()}, "answers": count}


def _article(expression: str) -> str:
    """ "the dog" as what a question of the embedded data names: "a dog"."""
    name = expression.removeprefix("the ")
    return f"{'an' if name[0] in 'aeiou' else 'a'} {name}"
