"""What pointing costs: a training step and an answer in each of the three ways, as ratios to those in plain words.

python -m benchmarks ground_cost                                         trains what is not in runs/ by its preset
python -m benchmarks ground_cost --variants RUN_TEXT RUN_EMBEDDING RUN_CALL
"""

from __future__ import annotations

import statistics
import tempfile
from pathlib import Path
from typing import Any

from benchmarks.ground_sides import WAYS
from benchmarks.harness import ROOT, Measurement, Side, alternate, pairwise_ratio, run_side, summary
from benchmarks.minis import triptych
from benchmarks.results import Settings, short, table, write
from benchmarks.setting import fresh_cache

PRESETS = {"text": "kosmos-2-mini", "embedding": "lisa-mini", "call": "llava-plus-mini"}
SIDES = {"none": "in words", "text": "text", "embedding": "embedding", "call": "call"}
SIZES = {"steps": 6, "batch": 16}
ANSWERS = {"pictures": 12, "rounds": 3}
QUICK: tuple[dict[str, int], dict[str, int]] = ({"steps": 1, "batch": 4}, {"pictures": 2, "rounds": 1})


def run(settings: Settings) -> None:
    """Measure steps in processes that take turns and answers in one process, taking turns; write `ground_cost.json` and `.md`."""
    sizes, answers = QUICK if settings.quick else (SIZES, ANSWERS)
    runs = _runs(settings)
    with tempfile.TemporaryDirectory(prefix="triptych-benchmark-") as temporary:
        caches = iter(Path(temporary) / f"cache-{i}" for i in range(1000))
        sides = {way: Side("benchmarks.ground_sides:train", {"way": way, **sizes}) for way in SIDES}
        settings.say("steps")
        steps = alternate(sides, settings.runs, lambda *_: fresh_cache(next(caches)), settings.say)
    settings.say("answers")
    told = run_side(Side("benchmarks.ground_sides:answer", {"runs": runs, **answers})).values
    values = {"sizes": {**sizes, **answers}, "steps": _steps(steps), "answers": _answers(told)}
    write("ground_cost", values, page, settings)


def _runs(settings: Settings) -> dict[str, str]:
    """The trained model of each way."""
    if settings.variants:
        return {way: str(Path(run).resolve()) for way, run in zip(WAYS, settings.variants, strict=True)}
    made = {way: ROOT / "runs" / preset for way, preset in PRESETS.items()}
    if not (ROOT / "runs" / "detector" / "weights").exists():
        triptych("train", "recipes/detector.yaml", "--output", str(ROOT / "runs" / "detector"))
    for way, folder in made.items():
        if not (folder / "weights").exists():
            triptych("train", PRESETS[way], "--output", str(folder))
    return {way: str(folder) for way, folder in made.items()}


def _steps(measured: dict[str, list[Measurement]]) -> dict[str, Any]:
    medians = {way: [statistics.median(one.values["seconds"]) for one in found] for way, found in measured.items()}
    encoding = {
        way: [one.values["encoding_seconds"] / one.values["pictures"] for one in found]
        for way, found in measured.items()
    }
    return {
        way: {
            "seconds": summary(medians[way]),
            "ratio": pairwise_ratio(medians[way], medians["none"]),
            "tokens": statistics.mean(t for one in found for t in one.values["tokens"]),
            "encoding": summary(encoding[way]),
            "encoding_ratio": pairwise_ratio(encoding[way], encoding["none"]),
            "peak_memory_bytes": summary([float(one.peak_memory_bytes) for one in found]),
            "parameters": found[0].values["parameters"],
        }
        for way, found in measured.items()
    }


def _answers(told: dict[str, Any]) -> dict[str, Any]:
    medians = {side: [statistics.median(part) for part in rounds] for side, rounds in told["seconds"].items()}
    return {
        "count": told["answers"],
        "sides": {
            side: {
                "seconds": summary(found),
                "ratio": pairwise_ratio(found, medians["plain"]),
                "told": told["told"][side],
            }
            for side, found in medians.items()
        },
    }


def page(values: dict[str, Any]) -> str:
    """The result as a Markdown page."""
    sizes, steps, answers = values["sizes"], values["steps"], values["answers"]
    plain = steps["none"]["tokens"]
    rows = [
        [
            SIDES[way],
            short(found["seconds"]),
            f"**{short(found['ratio'])}**",
            f"{found['tokens']:.0f}",
            short(_per_token(found, steps["none"], plain)),
            f"{(found['parameters']['regions'] + found['parameters']['new_tokens']) / 1e6:.2f} M",
            short(found["encoding_ratio"]),
            f"{found['peak_memory_bytes']['median'] / 2**30:.2f}",
        ]
        for way, found in steps.items()
    ]
    head = [
        "answers with regions",
        "s a step",
        "ratio",
        "tokens a step",
        "ratio per token",
        "more parameters",
        "encoding a picture, ratio",
        "GiB",
    ]
    said = [
        [
            "in words" if side == "plain" else side,
            short(found["seconds"], 3),
            f"**{short(found['ratio'])}**",
            _told(side, found),
        ]
        for side, found in answers["sides"].items()
    ]
    return f"""# What pointing costs

## A training step

The stage `ground` of `recipes/studies/grounding.yaml`: the same model, pictures and expressions, {sizes["batch"]} conversations a step; in *words*,
the regions are left out of the answers. Medians of {sizes["steps"]} steps in a process of its own; processes take turns, ratios are of
neighbours. Features of pictures come from the cache, which is filled once per picture: the embedding's decoders look at finer features of
their own. Calls are unfolded into a call, what was found, and an answer, which is why their conversations are longer.

{table(head, rows)}

## An answer

One at a time, {answers["count"]} pictures that no side has seen, encoding them included: "Is there a dog?" in words, and "Find the dog." in
each way, by the trained minis ({", ".join(f"{way}: `{PRESETS[way]}`" for way in WAYS)}). Taking turns in one process; medians of {sizes["pictures"]}
answers, in {sizes["rounds"]} rounds.

{table(["answer", "seconds", "ratio", "told"], said)}"""


def _per_token(found: dict[str, Any], none: dict[str, Any], plain: float) -> dict[str, Any]:
    scale = plain / found["tokens"]
    return (
        {key: found["ratio"][key] * scale for key in ("median", "low", "high")} if found is not none else found["ratio"]
    )


def _told(side: str, found: dict[str, Any]) -> str:
    return f"{found['told']:.1f} {'tokens' if side == 'plain' else 'regions'} an answer"
