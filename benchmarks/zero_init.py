"""LLaMA-Adapter's zero-initialised gates against random prompts that are heard from the start: the loss over the first steps."""

from __future__ import annotations

import json
import tempfile
from pathlib import Path
from typing import Any

from benchmarks.minis import triptych
from benchmarks.results import Settings, table, write

STEPS = 100
SEEDS = (0, 1, 2)
STARTS = ("zero", "one")


def run(settings: Settings) -> None:
    """Train both on the same data in the same order; writes `zero_init.json` and `zero_init.md` and a plot."""
    steps, seeds = (4, SEEDS[:1]) if settings.quick else (STEPS, SEEDS[: settings.runs])
    losses: dict[str, dict[str, list[float]]] = {}
    with tempfile.TemporaryDirectory(prefix="triptych-benchmark-") as temporary:
        for seed in seeds:
            losses[str(seed)] = {}
            for start in STARTS:
                settings.say(f"seed {seed}, gates start at {start}")
                folder = Path(temporary) / f"{start}-{seed}"
                changes = [
                    f"seed={seed}",
                    f"model.fusion.start={start}",
                    "model.fusion.std=1",
                    f"stages.0.steps={steps}",
                ]
                triptych("train", "llama-adapter-mini", *changes, "--output", str(folder))
                lines = (folder / "metrics.jsonl").read_text().splitlines()
                found = [json.loads(line) for line in lines]
                losses[str(seed)][start] = [one["loss"] for one in found if "loss" in one][:steps]
    values = {
        "steps": steps,
        "losses": losses,
        "steps_above": {
            seed: sum(z > o for z, o in zip(both["zero"], both["one"], strict=True)) for seed, both in losses.items()
        },
    }
    write("zero_init", values, _page, settings)
    _plot(losses, settings.folder / "zero_init.png")


def _page(values: dict[str, Any]) -> str:
    rows = [
        [
            seed,
            *(
                f"{both[start][step - 1]:.3f}"
                for step in (1, values["steps"] // 2, values["steps"])
                for start in STARTS
            ),
            str(values["steps_above"][seed]),
        ]
        for seed, both in values["losses"].items()
    ]
    at = (1, values["steps"] // 2, values["steps"])
    head = ["seed", *(f"step {n}, {start}" for n in at for start in STARTS), "steps with zero above one"]
    return f"""# Gates that start at zero, and random prompts that are heard from the start

`llama-adapter-mini` with prompts of the published spread (`model.fusion.std: 1`), the same data in the same order, {values["steps"]} steps;
only `model.fusion.start` differs: every gate starts at `zero`, or at `one`. Training loss per step.

{table(head, rows)}

![loss over the steps](zero_init.png)"""


def _plot(losses: dict[str, dict[str, list[float]]], path: Path) -> None:
    from matplotlib.figure import Figure

    figure = Figure(figsize=(7, 3.6), layout="constrained")
    axes = figure.subplots()
    for i, both in enumerate(losses.values()):
        for start, colour in (("one", "#c2571a"), ("zero", "#1a6fc2")):
            label = f"gates start at {start}" if i == 0 else None
            axes.plot(range(1, len(both[start]) + 1), both[start], color=colour, alpha=0.8, lw=1.3, label=label)
    axes.set(xlabel="step", ylabel="training loss", yscale="log")
    axes.legend(frameon=False)
    axes.spines[["top", "right"]].set_visible(False)
    figure.savefig(path, dpi=150)
