"""The systems' minis on the embedded data: trained and evaluated by their presets, beside the shuffled-image control."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

from benchmarks.harness import ROOT, child_environment
from benchmarks.results import Settings, table, write

SYSTEMS = ("llava-mini", "minigpt4-mini", "llama-adapter-mini", "flamingo-mini", "kosmos-1-mini")
SCORE = "naming_accuracy"
TARGET = 0.40


def run(settings: Settings) -> None:
    """Train, evaluate and compare; writes `minis.json` and `minis.md`. Runs that are finished are only read."""
    measured: dict[str, Any] = {}
    for system in settings.variants or SYSTEMS:
        settings.say(system)
        folder = ROOT / "runs" / ("quick" if settings.quick else "") / system
        changes = ["stages.0.steps=2"] if settings.quick else []
        if not (folder / "results.json").exists():
            resume = ["--resume"] if (folder / "recipe.yaml").exists() else []
            triptych("train", system, *changes, "--output", str(folder), *resume)
            triptych("evaluate", str(folder))
        about = json.loads((folder / "run.json").read_text())
        results = json.loads((folder / "results.json").read_text())
        measured[system] = {
            "trained": {key: about[key] for key in ("commit", "hardware", "started", "finished")},
            "trained_parameters": _trained(system),
            "stages": about["stages"],
            "tasks": results["tasks"],
        }
    write("minis", {"systems": measured}, _page, settings)
    if not settings.quick:
        _plot({"systems": measured}, ROOT / "docs" / "images" / "shots.png")


def triptych(*arguments: str) -> None:
    command = [sys.executable, "-m", "triptych", *arguments]
    done = subprocess.run(command, env=child_environment(), capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(f"{' '.join(command)}:\n{done.stdout[-2000:]}\n{done.stderr[-4000:]}")


def _trained(system: str) -> int:
    """How many parameters the last stage of a preset trains, counted on a model without numbers."""
    from triptych.families.composed.shape import build_composed_shape as build
    from triptych.recipe import load_recipe
    from triptych.training.parts import freeze

    recipe = load_recipe(system)
    groups = freeze(build(recipe, bfloat16_encoder=True), recipe.stages[-1])
    return sum(parameter.numel() for group in groups.values() for parameter in group.values())


def _page(values: dict[str, Any]) -> str:
    rows = []
    for system, entry in values["systems"].items():
        task = next(iter(entry["tasks"].values()))
        score, control = task["metrics"][SCORE], task["control"][SCORE]
        trained = entry["trained_parameters"]
        rows.append(
            [
                system,
                f"{score['value']:.3f} ({score['low']:.3f}–{score['high']:.3f})",
                f"{control['value']:.3f}",
                f"**{100 * (score['value'] - control['value']):.0f} points**",
                f"{score['n']}",
                f"{trained / 1e6:.2f} M",
                " + ".join(f"{stage['seconds']:.0f}" for stage in entry["stages"]),
            ]
        )
    head = [
        "system",
        "naming",
        "another's picture",
        "difference",
        "questions",
        "trained in the last stage",
        "seconds per stage",
    ]
    return f"""# The systems' minis

Each preset trained and evaluated as it stands, on pictures drawn by the embedded data, evaluated on pictures that it has never seen
(95 % intervals over pictures); commands: `triptych train NAME`, `triptych evaluate runs/NAME`. Beside the score, the same questions with another scene's picture. Wanted: {100 * TARGET:.0f} points between the two.

{table(head, rows)}{_shots(values)}"""


def _few_shot_tasks(values: dict[str, Any]) -> list[tuple[str, str, dict[str, Any]]]:
    """System, name and result of the tasks that are asked with named pictures before the question."""
    return [
        (system, name, task)
        for system, entry in values["systems"].items()
        for name, task in entry["tasks"].items()
        if any(metric.endswith("_shots_accuracy") for metric in task["metrics"])
    ]


def _plot(values: dict[str, Any], path: Path) -> None:
    """Score against shots, with 95 % intervals, true pictures and wrong ones."""
    from matplotlib.figure import Figure

    tasks = _few_shot_tasks(values)
    figure = Figure(figsize=(4.2 * len(tasks), 3.4), layout="constrained")
    for panel, (system, name, task) in zip(
        figure.subplots(1, len(tasks), sharey=True, squeeze=False)[0], tasks, strict=True
    ):
        metrics = [metric for metric in task["metrics"] if metric.endswith("_shots_accuracy")]
        shots = [int(metric.split("_")[0]) for metric in metrics]
        for label, scores, colour in (
            ("true pictures", task["metrics"], "#1a6fc2"),
            ("wrong pictures", task["control"], "#c2571a"),
        ):
            found = [scores[metric] for metric in metrics]
            values_of = [score["value"] for score in found]
            below = [score["value"] - score["low"] for score in found]
            above = [score["high"] - score["value"] for score in found]
            panel.errorbar(shots, values_of, yerr=[below, above], color=colour, marker="o", capsize=3, label=label)
        panel.set(xlabel="shots", ylim=(-0.02, 1), xticks=shots, title=f"{system}, {name.replace('_', ' ')}")
        panel.spines[["top", "right"]].set_visible(False)
    figure.axes[0].set(ylabel="right words")
    figure.axes[0].legend(frameon=False)
    figure.savefig(path, dpi=150)


def _shots(values: dict[str, Any]) -> str:
    """What named pictures before the question are worth, for systems that are asked so."""
    tasks = _few_shot_tasks(values)
    if not tasks:
        return ""
    shots = [metric for metric in tasks[0][2]["metrics"] if metric.endswith("_shots_accuracy")]
    rows = []
    for system, name, task in tasks:
        for what, scores in (("", task["metrics"]), (", wrong pictures", task["control"])):
            found = [scores[metric] for metric in shots]
            cells = [f"{score['value']:.3f} ({score['low']:.3f}–{score['high']:.3f})" for score in found]
            rows.append([f"{system}, {name}{what}", *cells])
    head = ["share of right words", *(f"{metric.split('_')[0]} shots" for metric in shots)]
    return f"""

Few-shot episodes: four things, each called by a made-up word that no training document has; so many pictures with their words, then
another picture of one of the four. With two, half of the questions can be known. *Wrong pictures*: the same documents, each word beside a picture of the thing that another word names.

{table(head, rows)}"""
